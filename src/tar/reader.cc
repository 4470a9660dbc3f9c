#include "tar/reader.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "base/text.h"

namespace capsem::tar {
namespace {

constexpr std::size_t kMaxRecordsBytes = 1 << 20;  // of a pax header
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max() - kBlockBytes;

template <class Number>
bool parse(std::string_view text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// "-1.5" of a pax header; digits beyond nanoseconds are cut.
bool parse_time(std::string_view text, timespec& time) {
  auto point = text.find('.');
  bool negative = text.starts_with('-');
  std::int64_t seconds = 0;
  if (!parse(text.substr(0, point), seconds)) return false;
  std::string digits;
  if (point != std::string_view::npos) digits = text.substr(point + 1, 9);
  digits.resize(9, '0');
  std::int64_t fraction = 0;
  if (!parse(std::string_view(digits), fraction) || fraction < 0) return false;
  if (negative && fraction > 0) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    if (seconds == std::numeric_limits<std::int64_t>::min()) return false;
    seconds -= 1;
    fraction = kSecond - fraction;
  }
  time = {.tv_sec = seconds, .tv_nsec = fraction};
  return true;
}

Kind kind_of(char type, bool ends_with_slash) {
  switch (type) {
    case '1':
      return Kind::kHardLink;
    case '2':
      return Kind::kSymlink;
    case '5':
      return Kind::kDirectory;
    case '3':
    case '4':
    case '6':
      return Kind::kOther;
    default:
      // POSIX has types that it does not know treated as a file; archives older than type '5' mark
      // a directory by its name.
      return ends_with_slash ? Kind::kDirectory : Kind::kFile;
  }
}

bool is_path(std::string_view text) {
  return !text.empty() && text.size() <= kMaxPathBytes && text.find('\0') == std::string_view::npos;
}

}  // namespace

std::unexpected<Error> Reader::damaged(const std::string& detail) const {
  return fail("read", name_, "it is not a whole tar archive: " + detail, "", ErrorKind::kDamaged);
}

Result<std::span<const std::byte, kBlockBytes>> Reader::block() {
  auto bytes = input_.peek(kBlockBytes);
  if (!bytes) return propagate(bytes);
  if (bytes->size() < kBlockBytes) return damaged("its end is missing");
  return bytes->first<kBlockBytes>();
}

Result<> Reader::skip(std::uint64_t bytes) {
  auto skipped = input_.skip(bytes);
  if (!skipped) return propagate(skipped);
  if (*skipped < bytes) return damaged("its end is missing");
  return {};
}

// The whole body of a member that is about another.
Result<std::string> Reader::text_body(std::uint64_t size, std::size_t limit) {
  if (size > limit) return damaged("a header is over the limit");
  std::string text;
  while (text.size() < size) {
    auto bytes = input_.peek(1);
    if (!bytes) return propagate(bytes);
    if (bytes->empty()) return damaged("its end is missing");
    auto step = std::min<std::size_t>(bytes->size(), size - text.size());
    text.append(as_text(bytes->first(step)));
    input_.take(step);
  }
  if (auto skipped = skip(padding(size)); !skipped) return propagate(skipped);
  return text;
}

Result<Reader::Records> Reader::pax_header(std::uint64_t size) {
  auto text = text_body(size, kMaxRecordsBytes);
  if (!text) return propagate(text);
  Records records;
  for (std::string_view rest = *text; !rest.empty();) {
    auto space = rest.find(' ');
    std::size_t length = 0;
    bool well_formed = space != std::string_view::npos && parse(rest.substr(0, space), length) &&
                       length > space + 1 && length <= rest.size() && rest[length - 1] == '\n';
    if (!well_formed) return damaged("a pax header is malformed");
    auto record = rest.substr(space + 1, length - space - 2);
    auto sign = record.find('=');
    if (sign == std::string_view::npos) return damaged("a pax header is malformed");
    records.insert_or_assign(std::string(record.substr(0, sign)),
                             std::string(record.substr(sign + 1)));
    rest.remove_prefix(length);
  }
  return records;
}

Result<std::optional<Member>> Reader::next() {
  if (auto skipped = skip(std::exchange(left_, 0)); !skipped) return propagate(skipped);
  if (auto skipped = skip(std::exchange(padding_, 0)); !skipped) return propagate(skipped);
  extents_.clear();
  extent_ = 0;
  done_ = 0;
  Records records;
  for (;;) {
    auto bytes = block();
    if (!bytes) return propagate(bytes);
    if (is_zero(*bytes)) return std::nullopt;
    if (!has_right_checksum(*bytes)) return damaged("a header's checksum is wrong");
    Block header;
    std::ranges::copy(*bytes, header.begin());
    input_.take(kBlockBytes);
    auto size = number_in(header, kSize);
    if (!size || *size < 0 || *size > kLargest) return damaged("a member's size is none");
    auto bytes_of = static_cast<std::uint64_t>(*size);
    auto type = static_cast<char>(header.at(kType.offset));
    if (type == 'x') {
      auto more = pax_header(bytes_of);
      if (!more) return propagate(more);
      for (auto& [key, value] : *more) records.insert_or_assign(key, std::move(value));
    } else if (type == 'L' || type == 'K') {  // GNU: the path, or the link, of the next member
      auto text = text_body(bytes_of, kMaxPathBytes + 1);
      if (!text) return propagate(text);
      text->resize(std::min(text->size(), text->find('\0')));
      records.insert_or_assign(type == 'L' ? "path" : "linkpath", std::move(*text));
    } else if (type == 'g' || type == 'V') {  // for all members; GNU: a label
      if (auto skipped = skip(bytes_of + padding(bytes_of)); !skipped) return propagate(skipped);
    } else {
      auto member = member_of(header, records);
      if (!member) return propagate(member);
      return std::move(*member);
    }
  }
}

Result<Member> Reader::member_of(const Block& header, const Records& records) {
  auto record = [&](const char* key) -> const std::string* {
    auto found = records.find(key);
    return found != records.end() ? &found->second : nullptr;
  };
  Member member;
  member.path = text_in(header, kName);
  bool is_posix = text_in(header, {kMagic.offset, 6}) == "ustar";
  auto prefix = text_in(header, kPrefix);
  if (is_posix && !prefix.empty()) member.path = std::string(prefix) + "/" + member.path;
  member.link = text_in(header, kLink);
  if (const auto* path = record("path")) member.path = *path;
  if (const auto* path = record("GNU.sparse.name")) member.path = *path;
  if (const auto* link = record("linkpath")) member.link = *link;
  if (!is_path(member.path)) return damaged("a member's name is none");
  auto what = [&](const char* wrong) { return damaged(printable(member.path) + ": " + wrong); };

  auto type = static_cast<char>(header.at(kType.offset));
  member.kind = kind_of(type, member.path.ends_with('/'));
  bool is_link = member.kind == Kind::kSymlink || member.kind == Kind::kHardLink;
  if (is_link && !is_path(member.link)) return what("it leads nowhere");
  auto mode = number_in(header, kMode);
  auto uid = number_in(header, kUid);
  auto gid = number_in(header, kGid);
  auto size = number_in(header, kSize);
  auto modified = number_in(header, kModified);
  if (!mode || !uid || !gid || !size || !modified || *uid < 0 || *gid < 0)
    return what("a number in its header is none");
  constexpr std::int64_t kPermissions = 07777;
  member.mode = static_cast<std::uint32_t>(*mode & kPermissions);
  member.uid = static_cast<std::uint64_t>(*uid);
  member.gid = static_cast<std::uint64_t>(*gid);
  member.modified.tv_sec = *modified;
  std::uint64_t bytes = static_cast<std::uint64_t>(*size);
  if (const auto* text = record("size"))
    if (!parse(std::string_view(*text), bytes)) return what("its size is none");
  if (const auto* text = record("uid"))
    if (!parse(std::string_view(*text), member.uid)) return what("its owner is none");
  if (const auto* text = record("gid"))
    if (!parse(std::string_view(*text), member.gid)) return what("its group is none");
  if (const auto* text = record("mtime"))
    if (!parse_time(*text, member.modified)) return what("its time is none");
  if (bytes > static_cast<std::uint64_t>(kLargest)) return what("its size is none");

  if (member.kind != Kind::kFile) return member;
  left_ = bytes;
  padding_ = padding(bytes);
  member.size = bytes;
  if (type == 'S') {
    if (auto read = read_gnu_sparse(header, member); !read) return propagate(read);
  } else if (const auto* major = record("GNU.sparse.major")) {
    const auto* real = record("GNU.sparse.realsize");
    if (*major != "1" || real == nullptr || !parse(std::string_view(*real), member.size) ||
        member.size > static_cast<std::uint64_t>(kLargest))
      return what("its holes are described in a way that is not known");
    if (auto read = read_sparse_map(member); !read) return propagate(read);
  } else if (record("GNU.sparse.size") != nullptr) {
    return what("its holes are described in a way that is not known");
  }
  if (auto checked = check_extents(member); !checked) return propagate(checked);
  extents_ = member.sparse ? member.extents : std::vector<Extent>{{0, bytes}};
  return member;
}

Result<> Reader::add_extent(Member& member, std::int64_t offset, std::int64_t bytes) {
  if (member.extents.size() >= kMaxExtents)
    return damaged(printable(member.path) + ": it has more pieces than " +
                   std::to_string(kMaxExtents));
  if (offset < 0 || bytes < 0) return damaged(printable(member.path) + ": a hole is malformed");
  if (bytes > 0)
    member.extents.push_back(
        {.offset = static_cast<std::uint64_t>(offset), .bytes = static_cast<std::uint64_t>(bytes)});
  return {};
}

// In order, inside the file, and as many bytes as the archive has.
Result<> Reader::check_extents(const Member& member) {
  if (!member.sparse) return {};
  std::uint64_t end = 0;
  std::uint64_t total = 0;
  for (const auto& extent : member.extents) {
    bool fits = extent.offset >= end && extent.offset <= member.size &&
                extent.bytes <= member.size - extent.offset;
    if (!fits) return damaged(printable(member.path) + ": a hole is malformed");
    end = extent.offset + extent.bytes;
    total += extent.bytes;
  }
  if (total != left_) return damaged(printable(member.path) + ": its holes do not fit its size");
  return {};
}

Result<std::uint64_t> Reader::map_number() {
  constexpr std::size_t kMaxDigits = 20;
  std::string digits;
  for (;;) {
    auto bytes = input_.peek(1);
    if (!bytes) return propagate(bytes);
    if (bytes->empty() || left_ == 0) return damaged("a map of holes has no end");
    auto each = static_cast<char>(bytes->front());
    input_.take(1);
    --left_;
    if (each == '\n') break;
    digits += each;
    if (digits.size() > kMaxDigits) return damaged("a map of holes is malformed");
  }
  std::uint64_t number = 0;
  if (!parse(std::string_view(digits), number) || number > static_cast<std::uint64_t>(kLargest))
    return damaged("a map of holes is malformed");
  return number;
}

Result<> Reader::read_sparse_map(Member& member) {
  member.sparse = true;
  auto before = left_;
  auto count = map_number();
  if (!count) return propagate(count);
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto offset = map_number();
    if (!offset) return propagate(offset);
    auto bytes = map_number();
    if (!bytes) return propagate(bytes);
    auto added =
        add_extent(member, static_cast<std::int64_t>(*offset), static_cast<std::int64_t>(*bytes));
    if (!added) return added;
  }
  auto fill = padding(before - left_);
  if (fill > left_) return damaged("a map of holes has no end");
  left_ -= fill;
  return skip(fill);
}

Result<> Reader::read_gnu_sparse(const Block& header, Member& member) {
  member.sparse = true;
  auto real = number_in(header, kSparseSize);
  if (!real || *real < 0 || *real > kLargest)
    return damaged(printable(member.path) + ": its size is none");
  member.size = static_cast<std::uint64_t>(*real);
  Block here = header;
  auto place = kSparsePairs;
  auto more = kSparseMore;
  for (;;) {
    for (std::size_t at = place.offset; at + 2 * kSparseNumberBytes <= place.offset + place.bytes;
         at += 2 * kSparseNumberBytes) {
      auto offset = number_in(here, {at, kSparseNumberBytes});
      auto bytes = number_in(here, {at + kSparseNumberBytes, kSparseNumberBytes});
      if (!offset || !bytes) return damaged(printable(member.path) + ": a hole is malformed");
      if (auto added = add_extent(member, *offset, *bytes); !added) return added;
    }
    if (here.at(more.offset) == std::byte{0}) return {};
    auto next = block();
    if (!next) return propagate(next);
    std::ranges::copy(*next, here.begin());
    input_.take(kBlockBytes);
    place = kMorePairs;
    more = kMoreMore;
  }
}

Result<Piece> Reader::body() {
  while (extent_ < extents_.size() && done_ == extents_[extent_].bytes) {
    ++extent_;
    done_ = 0;
  }
  if (extent_ == extents_.size()) return Piece{};
  auto bytes = input_.peek(1);
  if (!bytes) return propagate(bytes);
  if (bytes->empty()) return damaged("its end is missing");
  const auto& extent = extents_[extent_];
  auto size = std::min<std::uint64_t>(bytes->size(), extent.bytes - done_);
  Piece piece{.offset = extent.offset + done_,
              .bytes = bytes->first(static_cast<std::size_t>(size))};
  // take() only moves on: the bytes stay where they are until the next peek().
  input_.take(piece.bytes.size());
  done_ += size;
  left_ -= size;
  return piece;
}

}  // namespace capsem::tar
