#include "manifest/sums.h"

#include <algorithm>

#include "base/fd.h"

namespace capsem::manifest {
namespace {

constexpr std::string_view kSeparator = "  ";  // of a file that was read as binary or as text
constexpr std::size_t kHashDigits = 2 * sizeof(Digest::bytes);

bool is_path(std::string_view path) {
  return path.starts_with('/') &&
         std::ranges::none_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Adds what `line` says to `sums`; false when it is not a line that comes next there.
bool add_line(std::string_view line, Sums& sums) {
  if (line.size() <= kHashDigits + kSeparator.size()) return false;
  auto hash = Digest::parse(line.substr(0, kHashDigits));
  line.remove_prefix(kHashDigits);
  if (!hash || !line.starts_with(kSeparator)) return false;
  line.remove_prefix(kSeparator.size());
  if (!is_path(line) || (!sums.empty() && line <= sums.rbegin()->first)) return false;
  sums.emplace_hint(sums.end(), line, *hash);
  return true;
}

}  // namespace

std::string encode_sums(const Sums& sums) {
  std::string text;
  for (const auto& [path, hash] : sums) {
    text += hash.hex();
    text += kSeparator;
    text += path;
    text += '\n';
  }
  return text;
}

Result<Sums> decode_sums(std::string_view text, const std::string& file) {
  Sums sums;
  while (!text.empty()) {
    auto end = text.find('\n');
    if (end == std::string_view::npos || !add_line(text.substr(0, end), sums))
      return fail("read", file + ":" + std::to_string(sums.size() + 1),
                  "the line is not a SHA-256 and a path behind that of the line before", "",
                  ErrorKind::kInvalid);
    text.remove_prefix(end + 1);
  }
  return sums;
}

Sums sums_of_entry(const Sums& sums, const std::string& path) {
  Sums part;
  if (auto file = sums.find(path); file != sums.end()) part.insert(*file);
  const auto below = path + "/";
  for (auto line = sums.lower_bound(below); line != sums.end(); ++line) {
    if (!line->first.starts_with(below)) break;
    part.insert(part.end(), *line);
  }
  return part;
}

Digest entry_hash(const Sums& sums, const std::string& path) {
  if (auto file = sums.find(path); file != sums.end()) return file->second;
  return sha256(as_bytes(encode_sums(sums_of_entry(sums, path))));
}

}  // namespace capsem::manifest
