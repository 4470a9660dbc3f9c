#include "assets/tar_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "assets/tar_format.h"

namespace capsem::assets {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::size_t kMaxExtensionBytes = 1 << 20;

// Types of members that describe the next one instead of being one.
constexpr char kPaxRecords = 'x';
constexpr char kLongName = 'L';    // GNU
constexpr char kLongTarget = 'K';  // GNU

bool is_extension(char type) {
  return type == kPaxRecords || type == kLongName || type == kLongTarget;
}

std::string path_in(std::string_view header) {
  std::string name(tar::text(header, tar::kName));
  if (header.substr(tar::kMagic.offset, tar::kMagic.size) != tar::kPosixMagic) return name;
  auto prefix = tar::text(header, tar::kPrefix);
  return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

std::string normal(std::string path) {
  while (path.starts_with("./")) path.erase(0, 2);
  while (path.ends_with('/')) path.pop_back();
  return path;
}

// What a pax record ("LENGTH KEY=VALUE\n", LENGTH counting itself) of `records` has for the path of
// the member, if there is one. False when the records are malformed.
bool read_pax_path(std::string_view records, std::string& path) {
  while (!records.empty() && records[0] != '\0') {
    std::size_t length = 0;
    auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    auto digits = static_cast<std::size_t>(end - records.data());
    if (error != std::errc() || length > records.size() || length < digits + 3) return false;
    auto text = records.substr(digits + 1, length - digits - 2);
    auto equals = text.find('=');
    if (equals == std::string_view::npos) return false;
    auto key = text.substr(0, equals);
    // Written for files of 8 GiB and more, which have no place in a rootfs.
    if (key == "size") return false;
    if (key == "path") path = text.substr(equals + 1);
    records.remove_prefix(length);
  }
  return true;
}

bool extend(char type, std::string_view content, TarMember& member) {
  if (type == kLongName) member.path = content.substr(0, content.find('\0'));
  return type != kPaxRecords || read_pax_path(content, member.path);
}

}  // namespace

TarReader::TarReader(Fd archive, std::string name)
    : archive_(std::move(archive)), name_(std::move(name)) {}

std::unexpected<Error> TarReader::damaged() const {
  return fail("read", name_, "it is not a whole tar archive", "", ErrorKind::kDamaged);
}

Result<std::string> TarReader::read_blocks(std::uint64_t bytes) {
  std::string blocks(tar::padded(bytes), '\0');
  auto size = read_full(archive_, std::as_writable_bytes(std::span(blocks)), name_);
  if (!size) return propagate(size);
  if (*size != blocks.size()) return damaged();
  return blocks;
}

Result<> TarReader::skip_body() {
  if (body_left_ > 0 && ::lseek(archive_.get(), static_cast<off_t>(body_left_), SEEK_CUR) < 0)
    return fail_system("read", name_, errno);
  body_left_ = 0;
  return {};
}

Result<std::optional<TarMember>> TarReader::next() {
  if (auto skipped = skip_body(); !skipped) return propagate(skipped);
  TarMember member;
  for (;;) {
    auto header = read_blocks(tar::kBlockBytes);
    if (!header) return propagate(header);
    if (header->find_first_not_of('\0') == std::string::npos) return std::nullopt;
    auto size = tar::number(*header, tar::kSize);
    auto time = tar::number(*header, tar::kTime);
    if (!size || !time || tar::number(*header, tar::kChecksum) != tar::checksum(*header))
      return damaged();
    member.blocks += *header;
    char type = (*header)[tar::kType.offset];
    if (!is_extension(type)) {
      if (member.path.empty()) member.path = path_in(*header);
      member.path = normal(std::move(member.path));
      member.mtime = static_cast<std::int64_t>(*time);
      member.body_bytes = body_left_ = tar::padded(*size);
      return member;
    }
    if (*size > kMaxExtensionBytes) return damaged();
    auto content = read_blocks(*size);
    if (!content) return propagate(content);
    if (!extend(type, *content, member)) return damaged();
    member.blocks += *content;
  }
}

Result<std::string> TarReader::body() {
  auto piece = read_blocks(std::min<std::uint64_t>(body_left_, kPieceBytes));
  if (piece) body_left_ -= piece->size();
  return piece;
}

}  // namespace capsem::assets
