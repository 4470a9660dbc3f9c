#include "cpio/reader.h"

#include <array>
#include <charconv>
#include <numeric>
#include <string>

#include "base/fd.h"

namespace capsem::cpio {
namespace {

// The order of the header's fields after the magic.
enum Field {
  kInode,
  kMode,
  kUid,
  kGid,
  kLinks,
  kMtime,
  kFileSize,
  kDevMajor,
  kDevMinor,
  kRdevMajor,
  kRdevMinor,
  kNameSize,
  kChecksum,
  kFieldCount
};

using Fields = std::array<std::uint32_t, kFieldCount>;

std::optional<Fields> parse_fields(std::string_view text) {
  constexpr std::size_t kDigits = 8;
  Fields fields{};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto digits = text.substr(i * kDigits, kDigits);
    auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), fields.at(i), 16);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  }
  return fields;
}

std::uint32_t sum_of_bytes(std::span<const std::byte> body) {
  return std::accumulate(
      body.begin(), body.end(), std::uint32_t{0},
      [](std::uint32_t sum, std::byte byte) { return sum + std::to_integer<std::uint32_t>(byte); });
}

}  // namespace

std::unexpected<Error> Reader::damaged(std::string reason) const {
  return fail("read", "the cpio record at byte " + std::to_string(offset_), std::move(reason), "",
              ErrorKind::kDamaged);
}

Result<std::optional<Record>> Reader::next() {
  auto rest = archive_.subspan(offset_);
  if (rest.size() < kHeaderBytes) return damaged("the archive ends without a trailer");
  auto header_text = as_text(rest.first(kHeaderBytes));
  auto magic = header_text.substr(0, kMagic.size());
  if (magic != kMagic && magic != kMagicChecksum) return damaged("the magic is not 07070[12]");
  auto fields = parse_fields(header_text.substr(kMagic.size()));
  if (!fields) return damaged("a header field is not a hexadecimal number");

  const std::size_t name_bytes = (*fields)[kNameSize];
  if (name_bytes < 2 || name_bytes > kMaxNameBytes)
    return damaged("the length of the name is " + std::to_string(name_bytes));
  const std::size_t body_start =
      kHeaderBytes + name_bytes + padding_to_4(kHeaderBytes + name_bytes);
  const std::size_t body_bytes = (*fields)[kFileSize];
  if (body_start > rest.size() || body_bytes > rest.size() - body_start)
    return damaged("the name or the body reaches beyond the end");

  auto name = as_text(rest.subspan(kHeaderBytes, name_bytes));
  if (name.find('\0') != name_bytes - 1) return damaged("the name is not ended by its only NUL");
  name.remove_suffix(1);
  auto body = rest.subspan(body_start, body_bytes);
  if (magic == kMagicChecksum && sum_of_bytes(body) != (*fields)[kChecksum])
    return damaged("the checksum of " + std::string(name) + " does not match");

  // The last record's padding may be missing, as after a trailer at the end of a file.
  offset_ += std::min(body_start + body_bytes + padding_to_4(body_bytes), rest.size());
  if (name == kTrailer) return std::nullopt;
  return Record{.header = {.inode = (*fields)[kInode],
                           .mode = (*fields)[kMode],
                           .uid = (*fields)[kUid],
                           .gid = (*fields)[kGid],
                           .links = (*fields)[kLinks],
                           .mtime = (*fields)[kMtime],
                           .device_major = (*fields)[kDevMajor],
                           .device_minor = (*fields)[kDevMinor],
                           .rdevice_major = (*fields)[kRdevMajor],
                           .rdevice_minor = (*fields)[kRdevMinor]},
                .path = name,
                .body = body};
}

}  // namespace capsem::cpio
