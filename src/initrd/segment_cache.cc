#include "initrd/segment_cache.h"

#include "base/file.h"

namespace capsem::initrd {
namespace {

constexpr std::uint64_t kLimitBytes = 1ULL << 32;

// Over the key too, so that a file under another's name is not taken for it.
Digest checksum(const Digest& key, std::span<const std::byte> segment) {
  Sha256 hash;
  hash.update(key.bytes);
  hash.update(segment);
  return hash.finish();
}

}  // namespace

std::filesystem::path SegmentCache::path_of(const Digest& key) const {
  return directory_ / key.hex();
}

std::optional<std::vector<std::byte>> SegmentCache::find(const Digest& key) const {
  if (directory_.empty()) return std::nullopt;
  auto content = read_file(path_of(key), kLimitBytes);
  Digest stored;
  if (!content || content->size() < stored.bytes.size()) return std::nullopt;
  auto bytes = as_bytes(*content);
  std::ranges::copy(bytes.first(stored.bytes.size()), stored.bytes.begin());
  auto segment = bytes.subspan(stored.bytes.size());
  if (checksum(key, segment) != stored) return std::nullopt;
  return std::vector<std::byte>(segment.begin(), segment.end());
}

Result<> SegmentCache::store(const Digest& key, std::span<const std::byte> segment) const {
  if (directory_.empty()) return {};
  if (auto made = make_directories(directory_); !made) return made;
  auto file = AtomicFile::create(path_of(key));
  if (!file) return propagate(file);
  if (auto written = file->write(checksum(key, segment).bytes); !written) return written;
  if (auto written = file->write(segment); !written) return written;
  return file->commit();
}

}  // namespace capsem::initrd
