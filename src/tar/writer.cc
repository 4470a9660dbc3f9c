#include "tar/writer.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/text.h"
#include "tar/header.h"

namespace capsem::tar {
namespace {

constexpr char type_of(Kind kind) {
  constexpr std::string_view kTypes = "0521";  // by Kind
  return kTypes.at(static_cast<std::size_t>(kind));
}

// GNU.sparse 1.0: the number of extents and each extent's offset and size, a line each, filled up
// to whole blocks, before the bytes of the extents.
std::string sparse_map(const Member& member) {
  std::string map = std::to_string(member.extents.size()) + "\n";
  for (const auto& extent : member.extents)
    map += std::to_string(extent.offset) + "\n" + std::to_string(extent.bytes) + "\n";
  map.append(padding(map.size()), '\0');
  return map;
}

}  // namespace

Writer::Writer(Sink sink)
    : sink_(std::move(sink)), buffer_(std::make_unique_for_overwrite<std::byte[]>(kPieceBytes)) {}

Result<> Writer::flush() {
  if (used_ == 0) return {};
  auto sunk = sink_(std::span(buffer_.get(), used_));
  used_ = 0;
  return sunk;
}

Result<> Writer::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    auto step = std::min(bytes.size(), kPieceBytes - used_);
    std::memcpy(buffer_.get() + used_, bytes.data(), step);
    used_ += step;
    bytes = bytes.subspan(step);
    if (used_ == kPieceBytes)
      if (auto flushed = flush(); !flushed) return flushed;
  }
  return {};
}

Result<> Writer::put_zeros(std::uint64_t count) {
  while (count > 0) {
    auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count, kPieceBytes - used_));
    std::memset(buffer_.get() + used_, 0, step);
    used_ += step;
    count -= step;
    if (used_ == kPieceBytes)
      if (auto flushed = flush(); !flushed) return flushed;
  }
  return {};
}

Result<> Writer::put_range(const Fd& content, const Extent& extent, const Member& member) {
  std::uint64_t done = 0;
  while (done < extent.bytes) {
    auto room = std::min<std::uint64_t>(extent.bytes - done, kPieceBytes - used_);
    ssize_t n = ::pread(content.get(), buffer_.get() + used_, static_cast<std::size_t>(room),
                        static_cast<off_t>(extent.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_system("read", printable(member.path), errno);
    if (n == 0)
      return fail("read", printable(member.path), "it became shorter while it was copied",
                  "copy it again", ErrorKind::kDamaged);
    used_ += static_cast<std::size_t>(n);
    done += static_cast<std::uint64_t>(n);
    if (used_ == kPieceBytes)
      if (auto flushed = flush(); !flushed) return flushed;
  }
  return {};
}

Result<> Writer::add(const Member& member, const Fd& content) {
  std::string map = member.sparse ? sparse_map(member) : "";
  std::uint64_t size = map.size();
  if (member.kind == Kind::kFile && !member.sparse) size = member.size;
  for (const auto& extent : member.extents) size += extent.bytes;
  if (auto records = pax_records(member, size); !records.empty()) {
    Member about{.path = "PaxHeader", .mode = 0644};
    auto header = header_block(about, 'x', records.size());
    records.append(padding(records.size()), '\0');
    if (auto put_header = put(header); !put_header) return put_header;
    if (auto put_records = put(records); !put_records) return put_records;
  }
  if (auto done = put(header_block(member, type_of(member.kind), size)); !done) return done;
  if (member.kind != Kind::kFile) return {};
  if (auto done = put(map); !done) return done;
  const Extent whole{.offset = 0, .bytes = member.size};
  auto extents = member.sparse ? std::span(member.extents) : std::span(&whole, 1);
  for (const auto& extent : extents)
    if (auto done = put_range(content, extent, member); !done) return done;
  return put_zeros(padding(size));
}

Result<> Writer::finish() {
  if (auto done = put_zeros(2 * kBlockBytes); !done) return done;
  return flush();
}

}  // namespace capsem::tar
