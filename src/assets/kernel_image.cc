#include "assets/kernel_image.h"

#include <algorithm>
#include <string>

#include "assets/bytes.h"
#include "assets/elf.h"
#include "codec/codec.h"

namespace capsem::assets {
namespace {

// Offsets of the setup header's fields in the file.
constexpr std::uint64_t kSetupSectors = 0x1f1;
constexpr std::uint64_t kHeaderMagic = 0x202;
constexpr std::uint64_t kProtocolVersion = 0x206;
constexpr std::uint64_t kPayloadOffset = 0x248;
constexpr std::uint64_t kPayloadLength = 0x24c;

constexpr std::uint32_t kMagicHdrS = 0x53726448;
constexpr std::uint16_t kFirstVersionWithPayload = 0x0208;
constexpr std::uint64_t kSectorBytes = 512;
constexpr std::uint8_t kSetupSectorsWhenZero = 4;
constexpr std::uint64_t kSizeBytes = 4;

constexpr std::uint32_t kXenPhys32Entry = 18;

std::unexpected<Error> damaged(std::string reason) {
  return fail("unpack", "the kernel image", std::move(reason),
              "fetch the kernel package again with: capsem build-assets", ErrorKind::kDamaged);
}

Result<View> find_payload(View bzimage) {
  auto version = little_endian<std::uint16_t>(bzimage, kProtocolVersion);
  if (little_endian<std::uint32_t>(bzimage, kHeaderMagic) != kMagicHdrS || !version)
    return damaged("it is no Linux bzImage");
  if (*version < kFirstVersionWithPayload) return damaged("its boot protocol is older than 2.08");
  auto sectors = little_endian<std::uint8_t>(bzimage, kSetupSectors);
  auto offset = little_endian<std::uint32_t>(bzimage, kPayloadOffset);
  auto length = little_endian<std::uint32_t>(bzimage, kPayloadLength);
  if (!sectors || !offset || !length) return damaged("its setup header is cut short");
  std::uint64_t setup = *sectors == 0 ? kSetupSectorsWhenZero : *sectors;
  std::uint64_t start = (setup + 1) * kSectorBytes + *offset;
  auto payload = part(bzimage, start, *length);
  if (!payload || payload->size() <= kSizeBytes)
    return damaged("its payload lies outside of the file");
  return *payload;
}

}  // namespace

Result<std::vector<std::byte>> extract_payload(View bzimage, std::uint64_t limit_bytes) {
  auto payload = find_payload(bzimage);
  if (!payload) return propagate(payload);
  auto codec = codec::detect(*payload);
  if (!codec || *codec == codec::Codec::kNone)
    return fail("unpack", "the kernel image", "its compression is not known", "",
                ErrorKind::kInvalid);
  auto size_offset = payload->size() - kSizeBytes;
  auto size = little_endian<std::uint32_t>(*payload, size_offset);
  if (!size || *size > limit_bytes)
    return fail("unpack", "the kernel image",
                "it says it would become larger than " + std::to_string(limit_bytes) + " bytes", "",
                ErrorKind::kInvalid);
  // arch/x86/boot/compressed/Makefile appends the size to every format but gzip, whose last field
  // it already is (ISIZE).
  auto stream = *codec == codec::Codec::kGzip ? *payload : payload->first(size_offset);
  auto kernel = codec::decompress(*codec, stream, *size);
  if (!kernel) return propagate(kernel, "unpack", "the kernel image");
  if (kernel->size() != *size) return damaged("its payload is not as long as it says");
  return kernel;
}

bool has_pvh_entry(View kernel) {
  return elf_has_note(kernel, "Xen", kXenPhys32Entry);
}

}  // namespace capsem::assets
