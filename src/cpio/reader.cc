#include "cpio/reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <utility>

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

constexpr std::size_t kDigits = 8;

// initramfs.c reads a field with simple_strntoul(): "0x" is allowed, and the first character that
// is no digit ends the number.
std::uint32_t parse_field(std::string_view text, std::uint32_t& oddities) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != kDigits || end != text.data() + kDigits) oddities |= kBadNumber;
  return value;
}

// The size of what Linux creates for a record of this type; a body elsewhere is passed over.
bool takes_body(std::uint32_t type) {
  return type == kRegular || type == kSymlink;
}

bool is_known(std::uint32_t type) {
  constexpr std::array kTypes = {kRegular,     kDirectory, kSymlink, kCharacterDevice,
                                 kBlockDevice, kFifo,      kSocket};
  return std::ranges::find(kTypes, type) != kTypes.end();
}

}  // namespace

std::unexpected<Error> Reader::damaged(std::string reason) const {
  return fail("read", "the cpio record at byte " + std::to_string(record_offset_),
              std::move(reason), "", ErrorKind::kDamaged);
}

Result<> Reader::finish_record() {
  const auto left = body_left_ + body_padding_;
  auto skipped = input_.skip(left);
  if (!skipped) return propagate(skipped);
  // The last record's padding may be missing, as after a trailer at the end of a file.
  if (*skipped < body_left_) return damaged("its body reaches beyond the end");
  body_left_ = body_padding_ = shown_ = 0;
  return {};
}

Result<std::uint64_t> skip_zeros(Input& input) {
  const auto begin = input.position();
  for (;;) {
    auto ready = input.peek(1);
    if (!ready) return propagate(ready);
    auto start = std::ranges::find_if(*ready, [](std::byte byte) { return byte != std::byte{0}; });
    const bool ended = ready->empty() || start != ready->end();
    input.take(static_cast<std::size_t>(start - ready->begin()));
    if (ended) return input.position() - begin;
  }
}

// Passes over zeros; whether a record begins there.
Result<bool> Reader::find_header() {
  auto zeros = skip_zeros(input_);
  if (!zeros) return propagate(zeros);
  auto ready = input_.peek(1);
  if (!ready) return propagate(ready);
  if (ready->empty()) return false;
  record_.oddities = *zeros > 0 && !at_archive_end_ ? std::uint32_t{kZerosBefore} : 0;
  return ready->front() == std::byte{'0'};
}

Result<bool> Reader::read_header() {
  record_offset_ = offset();
  if (input_.position() % 4 != 0)
    return damaged("it does not begin at a multiple of four, as Linux needs it");
  auto ready = input_.peek(kHeaderBytes);
  if (!ready) return propagate(ready);
  auto text = as_text(*ready);
  auto magic = text.substr(0, kMagic.size());
  if (magic.size() < kMagic.size()) return damaged("its header reaches beyond the end");
  if (magic == kOldMagic)
    return damaged("it is in the old portable format; Linux reads newc only (cpio -H newc)");
  if (magic != kMagic && magic != kMagicChecksum) return damaged("the magic is not 07070[12]");
  if (text.size() < kHeaderBytes) return damaged("its header reaches beyond the end");
  std::array<std::uint32_t, kFieldCount> fields{};
  for (std::size_t i = 0; i < fields.size(); ++i)
    fields.at(i) = parse_field(text.substr(kMagic.size() + i * kDigits, kDigits), record_.oddities);
  record_.header = {.inode = fields[kInode],
                    .mode = fields[kMode],
                    .uid = fields[kUid],
                    .gid = fields[kGid],
                    .links = fields[kLinks],
                    .mtime = fields[kMtime],
                    .device_major = fields[kDevMajor],
                    .device_minor = fields[kDevMinor],
                    .rdevice_major = fields[kRdevMajor],
                    .rdevice_minor = fields[kRdevMinor]};
  record_.body_bytes = fields[kFileSize];
  record_.checksum.reset();
  if (magic == kMagicChecksum) record_.checksum = fields[kChecksum];
  input_.take(kHeaderBytes);
  if (auto named = read_name(fields[kNameSize]); !named) return propagate(named);
  return true;
}

Result<> Reader::read_name(std::size_t name_bytes) {
  const std::size_t stored = name_bytes + padding_to_4(kHeaderBytes + name_bytes);
  record_.path.clear();
  if (name_bytes <= 1 || name_bytes > kMaxNameBytes) {
    record_.oddities |= kNameLength;
    auto skipped = input_.skip(stored);
    if (!skipped) return propagate(skipped);
    if (*skipped < stored) return damaged("its name reaches beyond the end");
    return {};
  }
  auto ready = input_.peek(stored);
  if (!ready) return propagate(ready);
  if (ready->size() < name_bytes) return damaged("its name reaches beyond the end");
  auto name = as_text(ready->first(name_bytes));
  auto nul = name.find('\0');
  // Of a record that is passed over for its body it does not look at the name (do_header()).
  const auto type = record_.header.type();
  const bool looked_at = record_.body_bytes == 0 || type == kRegular ||
                         (type == kSymlink && record_.body_bytes <= kMaxNameBytes);
  if (looked_at && name.back() != '\0')
    return damaged(
        "its name does not end with a NUL, as Linux needs it (6.13, and 6.1, 6.6, 6.12 stable)");
  if (nul != std::string_view::npos && nul + 1 < name.size() &&
      name.find_first_not_of('\0', nul) != std::string_view::npos)
    record_.oddities |= kNameCutByNul;
  record_.path = name.substr(0, nul);
  input_.take(std::min(stored, ready->size()));
  return {};
}

Result<const Record*> Reader::next() {
  for (;;) {
    if (auto finished = finish_record(); !finished) return propagate(finished);
    auto found = find_header();
    if (!found) return propagate(found);
    if (!*found) return nullptr;
    if (auto header = read_header(); !header) return propagate(header);
    body_left_ = record_.body_bytes;
    body_padding_ = padding_to_4(static_cast<std::size_t>(record_.body_bytes));
    sum_ = 0;
    at_archive_end_ = record_.path == kTrailer;
    if (!at_archive_end_) break;
    ++record_.archive;
    if (at_trailer_ == AtTrailer::kStop) {
      auto finished = finish_record();
      return finished ? Result<const Record*>(nullptr) : propagate(finished);
    }
  }
  const auto type = record_.header.type();
  if (!is_known(type)) record_.oddities |= kUnknownType;
  if (is_known(type) && !takes_body(type) && record_.body_bytes != 0)
    record_.oddities |= kBodyIgnored;
  if (type == kSymlink && record_.body_bytes > kMaxNameBytes) record_.oddities |= kSymlinkTooLong;
  return &record_;
}

Result<std::span<const std::byte>> Reader::body() {
  input_.take(shown_);
  body_left_ -= std::exchange(shown_, 0);
  if (body_left_ == 0) {
    // Linux compares it for regular files only (initramfs.c, do_copy), and GNU cpio writes 0 for a
    // link with its target.
    if (record_.header.type() == kRegular && record_.checksum && *record_.checksum != sum_)
      return damaged("the checksum of its body does not match");
    return std::span<const std::byte>{};
  }
  auto ready = input_.peek(1);
  if (!ready) return ready;
  if (ready->empty()) return damaged("its body reaches beyond the end");
  auto piece =
      ready->first(static_cast<std::size_t>(std::min<std::uint64_t>(ready->size(), body_left_)));
  if (record_.checksum)
    sum_ = std::accumulate(piece.begin(), piece.end(), sum_, [](std::uint32_t sum, std::byte byte) {
      return sum + std::to_integer<std::uint32_t>(byte);
    });
  shown_ = piece.size();
  return piece;
}

Result<std::string> Reader::read_body(std::uint64_t limit_bytes) {
  if (record_.body_bytes > limit_bytes)
    return fail("read", record_.path, "it is larger than " + std::to_string(limit_bytes) + " bytes",
                "", ErrorKind::kInvalid);
  std::string whole;
  for (;;) {
    auto piece = body();
    if (!piece) return propagate(piece);
    if (piece->empty()) return whole;
    whole += as_text(*piece);
  }
}

}  // namespace capsem::cpio
