#include "initrd/segment_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <vector>

#include "base/copy.h"
#include "base/directory.h"
#include "base/file.h"

namespace capsem::initrd {
namespace {

namespace fs = std::filesystem;

// The segment lies behind its own hash and one of that and its key, so that a file under another's
// name is not taken for it.
constexpr std::size_t kHeaderBytes = 2 * sizeof(Digest::bytes);

// Marking every use would cost a write each time; an hour tells used from forgotten.
constexpr std::time_t kUseGranularitySeconds = 3600;

// How full the cache is left, so that not every run after the limit has to look through it.
constexpr std::uint64_t kKeptPercent = 80;

constexpr const char* kUsageName = "usage";

Digest binding(const Digest& key, const Digest& segment) {
  Sha256 hash;
  hash.update(key.bytes);
  hash.update(segment.bytes);
  return hash.finish();
}

void mark_used(const Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return;
  if (status.st_mtime + kUseGranularitySeconds > ::time(nullptr)) return;
  ::futimens(file.get(), nullptr);
}

Result<AtomicFile> begin(const fs::path& path, const Digest& key, const Digest& sha256) {
  if (auto made = make_directories(path.parent_path()); !made) return propagate(made);
  auto file = AtomicFile::create(path);
  if (!file) return file;
  if (auto written = file->write(sha256.bytes); !written) return propagate(written);
  if (auto written = file->write(binding(key, sha256).bytes); !written) return propagate(written);
  return file;
}

Result<FileIdentity> finish(AtomicFile file, const fs::path& path) {
  // A power failure may cost it: it is compared with its hash when it looks otherwise than now.
  if (auto committed = file.commit(Sync::kNothing); !committed) return propagate(committed);
  return identity_of(file.fd(), path);
}

struct CacheFile {
  fs::path path;
  std::uint64_t bytes = 0;
  timespec used{};
};

std::vector<CacheFile> files_by_use(const fs::path& directory) {
  std::vector<CacheFile> files;
  // Without a list nothing goes; the next run looks again.
  for (const auto& name : names_in(directory).value_or(std::vector<std::string>())) {
    const auto path = directory / name;
    struct stat status{};
    if (name == kUsageName || ::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
      continue;
    files.push_back({path, static_cast<std::uint64_t>(status.st_size), status.st_mtim});
  }
  std::ranges::sort(files, {}, [](const CacheFile& file) {
    return std::pair(file.used.tv_sec, file.used.tv_nsec);
  });
  return files;
}

}  // namespace

Result<std::optional<Digest>> stored_hash(const Fd& file, const Digest& key,
                                          const std::string& name) {
  std::array<std::byte, kHeaderBytes> header{};
  auto got = ::pread(file.get(), header.data(), header.size(), 0);
  if (got < 0) return fail_system("read", name, errno);
  if (got != static_cast<ssize_t>(header.size())) return std::nullopt;
  Digest own;
  std::ranges::copy(std::span(header).first<kHeaderBytes / 2>(), own.bytes.begin());
  if (!std::ranges::equal(binding(key, own).bytes, std::span(header).last<kHeaderBytes / 2>()))
    return std::nullopt;
  auto found = sha256(file, kHeaderBytes, name);
  if (!found) return propagate(found);
  if (*found != own) return std::nullopt;
  return own;
}

fs::path SegmentCache::path_of(const Digest& key) const {
  return directory_ / key.hex();
}

std::optional<StoredSegment> SegmentCache::find(const Digest& key, const KnownFile* trusted) const {
  if (directory_.empty()) return std::nullopt;
  auto path = path_of(key);
  auto fd = open_file(path, O_RDONLY | O_NOFOLLOW);
  if (!fd) return std::nullopt;
  mark_used(*fd);
  auto identity = identity_of(*fd, path);
  if (!identity || identity->size_bytes < kHeaderBytes) return std::nullopt;
  StoredSegment segment{.file = std::move(*fd),
                        .offset = kHeaderBytes,
                        .bytes = identity->size_bytes - kHeaderBytes,
                        .sha256 = {},
                        .identity = *identity};
  if (trusted != nullptr && trusted->identity == *identity) {
    segment.sha256 = trusted->sha256;
    return segment;
  }
  auto hash = stored_hash(segment.file, key, path);
  if (!hash || !*hash) return std::nullopt;
  segment.sha256 = **hash;
  return segment;
}

Result<FileIdentity> SegmentCache::store(const Digest& key, const Digest& sha256,
                                         std::span<const std::byte> segment) const {
  auto file = begin(path_of(key), key, sha256);
  if (!file) return propagate(file);
  if (auto written = file->write(segment); !written) return propagate(written);
  return finish(std::move(*file), path_of(key));
}

Result<FileIdentity> SegmentCache::store(const Digest& key, const Digest& sha256, const Fd& source,
                                         std::uint64_t bytes) const {
  auto file = begin(path_of(key), key, sha256);
  if (!file) return propagate(file);
  auto copied = copy_range(source, 0, file->fd(), bytes, path_of(key));
  if (!copied) return propagate(copied);
  return finish(std::move(*file), path_of(key));
}

void SegmentCache::evict(std::uint64_t stored_bytes) const {
  std::error_code error;
  if (directory_.empty() || !fs::exists(directory_, error)) return;
  // The sum is kept beside the segments: to look at all of them each time would cost more than a
  // small repack. It may be wrong after a crash; the next look through the cache sets it right.
  auto usage_path = directory_ / kUsageName;
  auto lock = lock_file(usage_path, LockMode::kExclusive);
  if (!lock) return;
  std::uint64_t total = 0;
  auto text = read_file(usage_path, 64);
  if (text) std::from_chars(text->data(), text->data() + text->size(), total);
  if (stored_bytes == 0 && total <= limit_bytes_) return;
  total += stored_bytes;
  if (total > limit_bytes_) {
    auto files = files_by_use(directory_);
    total = 0;
    for (const auto& file : files) total += file.bytes;
    for (const auto& file : files) {
      if (total <= limit_bytes_ / 100 * kKeptPercent) break;
      if (::unlink(file.path.c_str()) == 0) total -= file.bytes;
    }
  }
  auto number = std::to_string(total);
  if (::ftruncate(lock->get(), 0) == 0) [[maybe_unused]]
    auto written = write_full(*lock, as_bytes(number), usage_path);
}

}  // namespace capsem::initrd
