#include "initrd/image.h"

#include <algorithm>
#include <string>

namespace capsem::initrd {
namespace {

std::size_t zero_bytes(std::span<const std::byte> data) {
  auto end = std::ranges::find_if(data, [](std::byte byte) { return byte != std::byte{0}; });
  return static_cast<std::size_t>(end - data.begin());
}

// The archives at the start of `data`, up to where no further one begins. Returns how far they go.
Result<std::size_t> walk_archives(std::span<const std::byte> data, const Visitor& visitor,
                                  std::size_t& records) {
  std::size_t offset = 0;
  do {
    cpio::Reader reader(data.subspan(offset));
    for (;;) {
      auto record = reader.next();
      if (!record) return propagate(record);
      if (!*record) break;
      ++records;
      if (auto visited = visitor.record(**record); !visited) return propagate(visited);
    }
    offset += reader.offset();
    std::size_t next = offset + zero_bytes(data.subspan(offset));
    if (next == data.size() || codec::detect(data.subspan(next)) != codec::Codec::kNone) break;
    offset = next;
  } while (true);
  return offset;
}

Result<Segment> walk_segment(std::span<const std::byte> rest, const Visitor& visitor,
                             std::uint64_t limit_bytes) {
  auto codec = codec::detect(rest);
  if (!codec)
    return fail("read", "it", "it starts with neither an archive nor a known compression", "",
                ErrorKind::kDamaged);
  Segment segment{.codec = *codec};
  if (*codec == codec::Codec::kNone) {
    auto size = walk_archives(rest, visitor, segment.records);
    if (!size) return propagate(size);
    segment.bytes = segment.archive_bytes = *size;
    return segment;
  }
  auto unpacked = codec::decompress(*codec, rest, limit_bytes);
  if (!unpacked) return propagate(unpacked);
  segment.bytes = unpacked->consumed;
  segment.archive_bytes = unpacked->data.size();
  auto size = walk_archives(unpacked->data, visitor, segment.records);
  if (!size) return propagate(size);
  auto behind = std::span(unpacked->data).subspan(*size);
  if (zero_bytes(behind) != behind.size())
    return fail("read", "it", "there is something else behind its last archive", "",
                ErrorKind::kDamaged);
  return segment;
}

}  // namespace

Result<> walk(std::span<const std::byte> image, const Visitor& visitor,
              std::uint64_t segment_limit_bytes) {
  std::size_t offset = zero_bytes(image);
  if (offset == image.size())
    return fail("read", "the image", "it holds no segment", "", ErrorKind::kDamaged);
  while (offset < image.size()) {
    auto segment = walk_segment(image.subspan(offset), visitor, segment_limit_bytes);
    if (!segment)
      return propagate(segment, "read", "the segment at byte " + std::to_string(offset));
    segment->offset = offset;
    if (auto visited = visitor.segment(*segment); !visited) return visited;
    offset += segment->bytes;
    offset += zero_bytes(image.subspan(offset));
  }
  return {};
}

}  // namespace capsem::initrd
