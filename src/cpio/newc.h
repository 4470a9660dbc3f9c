// The "newc" cpio format, as Linux reads it from an initramfs: one record is a 110-byte header of
// hexadecimal fields, a NUL-terminated name and a body, each padded to 4 bytes.
// Linux Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace capsem::cpio {

inline constexpr std::string_view kMagic = "070701";          // no checksum
inline constexpr std::string_view kMagicChecksum = "070702";  // a sum of the body's bytes
inline constexpr std::string_view kOldMagic = "070707";       // the portable format, not newc
inline constexpr std::string_view kTrailer = "TRAILER!!!";
inline constexpr std::size_t kHeaderBytes = 110;
inline constexpr std::size_t kMaxNameBytes = 4096;  // PATH_MAX with its NUL, Linux's own limit
inline constexpr std::uint64_t kMaxBodyBytes = 0xffffffff;  // the size field has eight digits

// The file type bits of `mode`, as in stat(2).
inline constexpr std::uint32_t kTypeMask = 0170000;
inline constexpr std::uint32_t kRegular = 0100000;
inline constexpr std::uint32_t kDirectory = 0040000;
inline constexpr std::uint32_t kSymlink = 0120000;
inline constexpr std::uint32_t kCharacterDevice = 0020000;
inline constexpr std::uint32_t kBlockDevice = 0060000;
inline constexpr std::uint32_t kFifo = 0010000;
inline constexpr std::uint32_t kSocket = 0140000;

// The fields of a header that mean something; sizes follow from the name and the body.
struct Header {
  std::uint32_t inode = 0;
  std::uint32_t mode = 0;  // type and permission bits
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t links = 1;
  std::uint32_t mtime = 0;  // seconds since 1970
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  std::uint32_t rdevice_major = 0;
  std::uint32_t rdevice_minor = 0;

  std::uint32_t type() const { return mode & kTypeMask; }
  std::uint32_t permissions() const { return mode & 07777; }
};

inline constexpr std::size_t padding_to_4(std::size_t size) {
  return (4 - size % 4) % 4;
}

}  // namespace capsem::cpio
