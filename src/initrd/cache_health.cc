#include "initrd/cache_health.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/fd.h"
#include "base/file_identity.h"
#include "base/sha256.h"
#include "initrd/pack_record.h"
#include "initrd/segment_cache.h"

namespace capsem::initrd {
namespace {

namespace fs = std::filesystem;

struct Candidate {
  fs::path path;
  Digest key;
  FileIdentity identity;
};

using Known = std::map<Digest, FileIdentity>;

// What the records of all targets say of the segments.
Known known_segments(const fs::path& records) {
  Known known;
  std::error_code error;
  for (fs::directory_iterator walk(records, error); !error && walk != fs::end(walk);
       walk.increment(error))
    for (const auto& [key, segment] : PackRecord::load(walk->path()).segments)
      known[key] = segment.identity;
  return known;
}

// The segments, the one used last first.
Result<std::vector<Candidate>> list(const fs::path& directory) {
  std::vector<Candidate> found;
  std::error_code error;
  for (fs::directory_iterator walk(directory, error); !error && walk != fs::end(walk);
       walk.increment(error)) {
    auto key = Digest::parse(walk->path().filename().string());
    struct stat status{};
    if (!key || ::lstat(walk->path().c_str(), &status) != 0) continue;
    found.push_back({walk->path(), *key, identity_of(status)});
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail_system("read", directory, error.value());
  std::ranges::sort(found, std::greater{},
                    [](const Candidate& one) { return one.identity.modified_ns; });
  return found;
}

// Whether it is whole, or gone meanwhile, as another packer may have taken it away.
Result<bool> is_whole(const Candidate& candidate) {
  auto file = open_file(candidate.path, O_RDONLY | O_NOFOLLOW);
  if (!file && file.error().kind() == ErrorKind::kNotFound) return true;
  if (!file) return propagate(file);
  auto hash = stored_hash(*file, candidate.key, candidate.path);
  if (!hash) return propagate(hash);
  return hash->has_value();
}

}  // namespace

Result<CacheHealth> check_cache(const fs::path& cache, bool trust_records,
                                std::uint64_t read_limit_bytes) {
  auto candidates = list(cache / kSegmentsDirectory);
  if (!candidates) return propagate(candidates);
  auto known = trust_records ? known_segments(cache / kRecordsDirectory) : Known();
  CacheHealth health;
  for (const auto& candidate : *candidates) {
    ++health.segments;
    health.total_bytes += candidate.identity.size_bytes;
    auto noted = known.find(candidate.key);
    if (noted != known.end() && noted->second == candidate.identity) continue;
    if (health.read_bytes + candidate.identity.size_bytes > read_limit_bytes) {
      ++health.unread;
      continue;
    }
    health.read_bytes += candidate.identity.size_bytes;
    auto whole = is_whole(candidate);
    if (!whole) return propagate(whole);
    if (!*whole) health.damaged.push_back(candidate.path);
  }
  return health;
}

}  // namespace capsem::initrd
