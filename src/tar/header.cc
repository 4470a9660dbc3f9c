#include "tar/header.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

namespace capsem::tar {
namespace {

constexpr unsigned kBinaryMark = 0x80;  // GNU: the rest is a big-endian number

constexpr std::uint64_t largest(FieldPlace place) {
  return (std::uint64_t{1} << (3 * (place.bytes - 1))) - 1;
}

void put_text(Block& block, FieldPlace place, std::string_view text) {
  std::memcpy(block.data() + place.offset, text.data(), std::min(text.size(), place.bytes));
}

void put_number(Block& block, FieldPlace place, std::uint64_t value) {
  value = std::min(value, largest(place));
  for (std::size_t i = place.bytes - 1; i-- > 0; value /= 8)
    block.at(place.offset + i) = static_cast<std::byte>('0' + value % 8);
}

// The checksum's own field counts as spaces.
std::uint64_t checksum(std::span<const std::byte, kBlockBytes> block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlockBytes; ++i) {
    bool own = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.bytes;
    sum += own ? ' ' : static_cast<std::uint64_t>(block[i]);
  }
  return sum;
}

std::string seconds_text(const timespec& time) {
  // Of a time before the epoch the fraction counts forward from the second before.
  std::int64_t seconds = time.tv_sec;
  auto fraction = static_cast<std::uint64_t>(time.tv_nsec);
  bool negative = seconds < 0;
  if (negative && fraction > 0) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    seconds += 1;
    fraction = kSecond - fraction;
  }
  auto text = std::to_string(negative ? -seconds : seconds);
  if (negative) text.insert(0, "-");
  if (fraction == 0) return text;
  auto digits = std::to_string(fraction);
  return text + "." + std::string(9 - digits.size(), '0') + digits;
}

}  // namespace

std::string_view text_in(std::span<const std::byte, kBlockBytes> block, FieldPlace place) {
  std::string_view text(reinterpret_cast<const char*>(block.data()) + place.offset, place.bytes);
  return text.substr(0, text.find('\0'));
}

std::optional<std::int64_t> number_in(std::span<const std::byte, kBlockBytes> block,
                                      FieldPlace place) {
  auto field = block.subspan(place.offset, place.bytes);
  auto first = static_cast<unsigned>(field[0]);
  if ((first & kBinaryMark) != 0) {
    bool negative = first == 0xff;
    std::uint64_t value = negative ? ~std::uint64_t{0} : first & ~kBinaryMark;
    for (auto byte : field.subspan(1)) {
      // What is shifted out has to be no more than the sign.
      auto top = value >> 56;
      if (top != (negative ? 0xff : 0)) return std::nullopt;
      value = value << 8 | static_cast<std::uint64_t>(byte);
    }
    if ((value >> 63 != 0) != negative) return std::nullopt;
    return static_cast<std::int64_t>(value);
  }
  auto text = text_in(block, place);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return 0;
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

bool is_zero(std::span<const std::byte, kBlockBytes> block) {
  return std::ranges::all_of(block, [](std::byte each) { return each == std::byte{0}; });
}

bool has_right_checksum(std::span<const std::byte, kBlockBytes> block) {
  auto said = number_in(block, kChecksum);
  return said && static_cast<std::uint64_t>(*said) == checksum(block);
}

Block header_block(const Member& member, char type, std::uint64_t size) {
  Block block{};
  put_text(block, kName, member.path);
  put_number(block, kMode, member.mode);
  put_number(block, kUid, member.uid);
  put_number(block, kGid, member.gid);
  put_number(block, kSize, size);
  put_number(block, kModified,
             member.modified.tv_sec < 0 ? 0 : static_cast<std::uint64_t>(member.modified.tv_sec));
  block.at(kType.offset) = static_cast<std::byte>(type);
  put_text(block, kLink, member.link);
  put_text(block, kMagic, std::string_view("ustar\00000", 8));
  put_number(block, {kChecksum.offset, kChecksum.bytes - 1}, checksum(block));
  block.at(kChecksum.offset + kChecksum.bytes - 1) = std::byte{' '};
  return block;
}

std::string pax_record(std::string_view key, std::string_view value) {
  auto rest = 1 + key.size() + 1 + value.size() + 1;
  auto total = rest + std::to_string(rest).size();
  // The digits of the length count, too, and may become one more by that.
  total = rest + std::to_string(total).size();
  std::string record = std::to_string(total) + " ";
  record.append(key).append("=").append(value).append("\n");
  return record;
}

std::string pax_records(const Member& member, std::uint64_t size) {
  std::string records;
  if (member.sparse) {
    records += pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0") +
               pax_record("GNU.sparse.name", member.path) +
               pax_record("GNU.sparse.realsize", std::to_string(member.size));
  }
  if (member.path.size() > kName.bytes) records += pax_record("path", member.path);
  if (member.link.size() > kLink.bytes) records += pax_record("linkpath", member.link);
  if (size > largest(kSize)) records += pax_record("size", std::to_string(size));
  if (member.uid > largest(kUid)) records += pax_record("uid", std::to_string(member.uid));
  if (member.gid > largest(kGid)) records += pax_record("gid", std::to_string(member.gid));
  bool whole = member.modified.tv_nsec == 0 && member.modified.tv_sec >= 0 &&
               static_cast<std::uint64_t>(member.modified.tv_sec) <= largest(kModified);
  if (!whole) records += pax_record("mtime", seconds_text(member.modified));
  return records;
}

}  // namespace capsem::tar
