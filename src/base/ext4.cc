#include "base/ext4.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <span>

#include "base/text.h"

namespace capsem {
namespace {

// Documentation/filesystems/ext4/super.rst
constexpr off_t kSuperblockOffset = 1024;
constexpr std::size_t kSuperblockBytes = 1024;
constexpr std::size_t kBlocksLow = 0x4;        // s_blocks_count_lo
constexpr std::size_t kLogBlockSize = 0x18;    // s_log_block_size
constexpr std::size_t kMagic = 0x38;           // s_magic
constexpr std::size_t kState = 0x3a;           // s_state
constexpr std::size_t kIncompatible = 0x60;    // s_feature_incompat
constexpr std::size_t kUuid = 0x68;            // s_uuid
constexpr std::size_t kBlocksHigh = 0x150;     // s_blocks_count_hi
constexpr std::uint64_t kMagicValue = 0xef53;  // EXT4_SUPER_MAGIC
constexpr std::uint64_t kStateClean = 1;       // EXT4_VALID_FS, and neither an error nor orphans
constexpr std::uint64_t kRecover = 0x4;        // EXT4_FEATURE_INCOMPAT_RECOVER
constexpr std::uint64_t kBlocks64 = 0x80;      // EXT4_FEATURE_INCOMPAT_64BIT
constexpr std::uint64_t kMaxLogBlockSize = 6;  // blocks of 64 KiB

using Superblock = std::array<std::byte, kSuperblockBytes>;

// Little-endian, as all of ext4.
std::uint64_t number_at(const Superblock& block, std::size_t offset, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;)
    value = value << 8 | std::to_integer<std::uint64_t>(block.at(offset + i));
  return value;
}

}  // namespace

Result<Ext4> read_ext4(const Fd& disk, const std::string& name) {
  Superblock block{};
  std::size_t had = 0;
  while (had < block.size()) {
    ssize_t n = ::pread(disk.get(), block.data() + had, block.size() - had,
                        kSuperblockOffset + static_cast<off_t>(had));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_system("read", name, errno);
    if (n == 0) break;
    had += static_cast<std::size_t>(n);
  }
  auto log_block_size = number_at(block, kLogBlockSize, 4);
  if (had < block.size() || number_at(block, kMagic, 2) != kMagicValue ||
      log_block_size > kMaxLogBlockSize)
    return fail("read", name, "it has no ext4 file system", "", ErrorKind::kDamaged);
  auto incompatible = number_at(block, kIncompatible, 4);
  auto blocks = number_at(block, kBlocksLow, 4);
  if ((incompatible & kBlocks64) != 0) blocks |= number_at(block, kBlocksHigh, 4) << 32;
  if (blocks > UINT64_MAX >> (10 + log_block_size))
    return fail("read", name, "its file system has an impossible size", "", ErrorKind::kDamaged);
  return Ext4{
      .uuid = uuid_text(std::span(block).subspan<kUuid, 16>()),
      .size_bytes = blocks << (10 + log_block_size),
      .clean = number_at(block, kState, 2) == kStateClean && (incompatible & kRecover) == 0};
}

}  // namespace capsem
