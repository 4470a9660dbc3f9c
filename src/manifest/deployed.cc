#include "manifest/deployed.h"

#include <algorithm>

#include "base/text.h"

namespace capsem::manifest {
namespace {

constexpr std::string_view kNone = "-";
enum Column { kName, kOrigin, kHash, kColumns };

std::optional<DeployedEntry> parse_line(std::string_view line) {
  auto fields = split(line, '\t');
  if (fields.size() != kColumns || fields[kName].empty()) return std::nullopt;
  const auto* origin = std::ranges::find(kOriginNames, fields[kOrigin]);
  if (origin == kOriginNames.end()) return std::nullopt;
  DeployedEntry entry{.name = std::string(fields[kName]),
                      .origin = static_cast<Origin>(origin - kOriginNames.begin())};
  if (entry.origin == Origin::kAbsent)
    return fields[kHash] == kNone ? std::optional(std::move(entry)) : std::nullopt;
  auto hash = Digest::parse(fields[kHash]);
  if (!hash) return std::nullopt;
  entry.sha256 = *hash;
  return entry;
}

}  // namespace

std::string encode_deployed(std::span<const DeployedEntry> entries) {
  std::string text;
  for (const auto& entry : entries) {
    text += entry.name;
    text += '\t';
    text += name_of(entry.origin);
    text += '\t';
    text += entry.sha256 ? entry.sha256->hex() : std::string(kNone);
    text += '\n';
  }
  return text;
}

Result<std::vector<DeployedEntry>> decode_deployed(std::string_view text) {
  std::vector<DeployedEntry> entries;
  while (!text.empty()) {
    auto end = text.find('\n');
    auto entry = end == std::string_view::npos ? std::nullopt : parse_line(text.substr(0, end));
    if (!entry)
      return fail("read", kDeployedPath + (":" + std::to_string(entries.size() + 1)),
                  "the line does not say what became of an entry", "", ErrorKind::kInvalid);
    entries.push_back(std::move(*entry));
    text.remove_prefix(end + 1);
  }
  return entries;
}

}  // namespace capsem::manifest
