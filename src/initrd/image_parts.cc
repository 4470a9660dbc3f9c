#include "initrd/image_parts.h"

#include <algorithm>

#include "base/file_identity.h"
#include "base/stream.h"

namespace capsem::initrd {
namespace {

Result<bool> is_zero(const Fd& image, std::uint64_t offset, std::uint64_t bytes,
                     const std::string& name) {
  bool zero = true;
  auto look = [&zero](std::span<const std::byte> piece) -> Result<> {
    zero = zero && std::ranges::all_of(piece, [](std::byte byte) { return byte == std::byte{0}; });
    return {};
  };
  if (auto read = read_range(image, offset, bytes, look, name); !read) return propagate(read);
  return zero;
}

Result<Digest> hash_of(const Fd& image, const ImagePart& part, const std::string& name) {
  Sha256 hash;
  auto take = [&hash](std::span<const std::byte> piece) -> Result<> {
    hash.update(piece);
    return {};
  };
  auto read = read_range(image, part.offset, part.bytes, take, name);
  if (!read) return propagate(read);
  return hash.finish();
}

}  // namespace

Result<bool> holds_parts(const Fd& image, std::span<const ImagePart> parts,
                         const std::string& name) {
  std::uint64_t end = 0;
  for (const auto& part : parts) {
    if (part.offset < end) return false;
    auto gap = is_zero(image, end, part.offset - end, name);
    if (!gap || !*gap) return gap;
    auto hash = hash_of(image, part, name);
    if (!hash) return propagate(hash);
    if (*hash != part.sha256) return false;
    end = part.offset + part.bytes;
  }
  auto identity = identity_of(image, name);
  if (!identity) return propagate(identity);
  return identity->size_bytes == end;
}

}  // namespace capsem::initrd
