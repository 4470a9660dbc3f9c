#include "initrd/assemble.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/copy.h"
#include "cpio/newc.h"

namespace capsem::initrd {
namespace {

constexpr std::size_t kMagicBytes = 8;
constexpr std::uint64_t kWritebackBytes = 2 << 20;

// Linux takes an lz4 stream to go on until a zero length (lib/decompress_unlz4.c).
constexpr std::size_t kLz4EndBytes = 4;

Result<bool> is_lz4(const MadeSegment& segment) {
  std::vector<std::byte> magic(kMagicBytes);
  if (!segment.memory.empty()) return codec::detect(segment.memory) == codec::Codec::kLz4;
  auto n = ::pread(segment.fd().get(), magic.data(), magic.size(),
                   static_cast<off_t>(segment.file.offset));
  if (n < 0) return fail_system("read", "a segment", errno);
  return codec::detect(std::span(magic).first(static_cast<std::size_t>(n))) == codec::Codec::kLz4;
}

}  // namespace

ImageTarget::ImageTarget(std::string name, std::optional<AtomicFile> file, const Fd* stream,
                         bool hash)
    : name_(std::move(name)),
      file_(std::move(file)),
      stream_(stream),
      hash_(hash ? std::make_unique<Sha256>() : nullptr) {}

Result<ImageTarget> ImageTarget::create(const std::filesystem::path& target, const Fd* stream,
                                        bool hash) {
  if (stream != nullptr) return ImageTarget("standard output", std::nullopt, stream, hash);
  auto file = AtomicFile::create(target);
  if (!file) return propagate(file);
  // An image may hold secrets: what replaces it is for the same eyes.
  struct stat old{};
  if (::stat(target.c_str(), &old) == 0 && S_ISREG(old.st_mode)) {
    if (::geteuid() == 0 && ::fchown(file->fd().get(), old.st_uid, old.st_gid) != 0)
      return fail_system("keep the owner of", target, errno);
    if (::fchmod(file->fd().get(), old.st_mode & 07777) != 0)
      return fail_system("keep the mode of", target, errno);
  }
  return ImageTarget(target, std::move(*file), nullptr, hash);
}

Result<> ImageTarget::write(std::span<const std::byte> bytes) {
  if (hash_) hash_->update(bytes);
  bytes_ += bytes.size();
  return write_full(fd(), bytes, name_);
}

Result<> ImageTarget::hash_file(const MadeSegment& segment) {
  auto hash = [this](std::span<const std::byte> piece) -> Result<> {
    hash_->update(piece);
    return {};
  };
  return read_range(segment.fd(), segment.file.offset, segment.file.bytes, hash, "a segment");
}

Result<> ImageTarget::add(const std::string& name, const MadeSegment& segment) {
  // Linux looks for an archive's magic at a multiple of four.
  std::vector<std::byte> gap(cpio::padding_to_4(static_cast<std::size_t>(bytes_)) +
                             (last_is_lz4_ ? kLz4EndBytes : 0));
  if (auto written = write(gap); !written) return written;
  auto lz4 = is_lz4(segment);
  if (!lz4) return propagate(lz4);
  last_is_lz4_ = *lz4;
  segments_.push_back(
      {.name = name, .offset = bytes_, .bytes = segment.bytes(), .sha256 = segment.sha256});
  if (!segment.memory.empty()) {
    if (auto written = write(segment.memory); !written) return written;
  } else {
    if (hash_)
      if (auto hashed = hash_file(segment); !hashed) return hashed;
    bytes_ += segment.file.bytes;
    auto copied = copy_range(segment.fd(), segment.file.offset, fd(), segment.file.bytes, name_);
    if (!copied) return copied;
  }
  begin_writeback();
  return {};
}

// The disk works while the next segment is compressed, and the sync at the end has less to wait
// for. Whether it does is the kernel's affair; the sync is what counts.
void ImageTarget::begin_writeback() {
  if (!file_ || bytes_ - writeback_bytes_ < kWritebackBytes) return;
  ::sync_file_range(fd().get(), static_cast<off_t>(writeback_bytes_),
                    static_cast<off_t>(bytes_ - writeback_bytes_), SYNC_FILE_RANGE_WRITE);
  writeback_bytes_ = bytes_;
}

Digest ImageTarget::sha256() {
  return hash_ ? hash_->finish() : Digest();
}

Result<Fd> ImageTarget::commit() {
  if (!file_) return Fd();
  if (auto committed = file_->commit(Sync::kContent); !committed) return propagate(committed);
  return file_->take_fd();
}

}  // namespace capsem::initrd
