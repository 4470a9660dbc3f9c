#include "assets/tar_reader.h"

#include <algorithm>
#include <charconv>
#include <vector>

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

// A pax record is "LENGTH KEY=VALUE\n", LENGTH counting itself.
struct PaxRecord {
  std::string_view key;
  std::size_t value_offset, value_size;
};

std::optional<std::vector<PaxRecord>> pax_records(std::string_view body) {
  std::vector<PaxRecord> records;
  for (std::size_t at = 0; at < body.size() && body[at] != '\0';) {
    auto rest = body.substr(at);
    std::size_t length = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    auto digits = static_cast<std::size_t>(end - rest.data());
    if (error != std::errc() || length > rest.size() || length < digits + 3) return std::nullopt;
    auto text = rest.substr(digits + 1, length - digits - 2);
    auto equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    records.push_back(
        {text.substr(0, equals), at + digits + 1 + equals + 1, text.size() - equals - 1});
    at += length;
  }
  return records;
}

}  // namespace

TarReader::TarReader(Fd archive, std::string name, std::int64_t made_at)
    : archive_(std::move(archive)), name_(std::move(name)), made_at_(made_at) {}

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

// Takes the name out of pax records and sets late times to 0, in place, so that no length changes.
bool TarReader::clear_pax_times(std::string& records, TarMember& member) const {
  auto list = pax_records(records);
  if (!list) return false;
  for (const auto& record : *list) {
    std::string value = records.substr(record.value_offset, record.value_size);
    if (record.key == "path") member.path = value;
    // Written for files of 8 GiB and more, which have no place in a rootfs.
    if (record.key == "size") return false;
    if (record.key != "mtime" && record.key != "atime" && record.key != "ctime") continue;
    std::int64_t seconds = 0;
    std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (seconds <= made_at_) continue;
    auto digits = std::span(records).subspan(record.value_offset, record.value_size);
    std::ranges::replace_if(digits, [](char c) { return c != '.'; }, '0');
  }
  return true;
}

bool TarReader::extend(char type, std::string& content, TarMember& member) const {
  if (type == kLongName) member.path = content.substr(0, content.find('\0'));
  return type != kPaxRecords || clear_pax_times(content, member);
}

Result<std::optional<TarMember>> TarReader::next() {
  while (body_left_ > 0)
    if (auto skipped = body(); !skipped) return propagate(skipped);
  TarMember member;
  for (;;) {
    auto header = read_blocks(tar::kBlockBytes);
    if (!header) return propagate(header);
    if (header->find_first_not_of('\0') == std::string::npos) return std::nullopt;
    auto size = tar::number(*header, tar::kSize);
    auto time = tar::number(*header, tar::kTime);
    if (!size || !time || tar::number(*header, tar::kChecksum) != tar::checksum(*header))
      return damaged();
    if (static_cast<std::int64_t>(*time) > made_at_) {
      tar::set_number(header->data(), tar::kTime, 0);
      tar::set_checksum(header->data());
    }
    member.blocks += *header;
    char type = (*header)[tar::kType.offset];
    if (!is_extension(type)) {
      if (member.path.empty()) member.path = path_in(*header);
      member.path = normal(std::move(member.path));
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
