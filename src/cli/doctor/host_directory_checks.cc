// Checks of the directories capsem writes to: whose they are, with what room, and what is left
// there.
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "cli/doctor/host_check_functions.h"
#include "cli/doctor/host_leftovers.h"
#include "cli/doctor/host_observation.h"
#include "initrd/cache_health.h"
#include "initrd/segment_cache.h"

namespace capsem::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMegabyte = 1'000'000;
// Below this a run may not even write its image.
constexpr std::uint64_t kRunBytes = 64 * kMegabyte;
// Checked without being asked for more, so that the whole stays well under a second.
constexpr std::uint64_t kCacheReadBytes = 256 * kMegabyte;

struct Place {
  const char* what;
  fs::path path;
  bool written;                   // a run writes to it
  mode_t others = 0;              // permission bits that would let others put something there
  std::uint64_t build_bytes = 0;  // what `capsem build-assets` takes of it, generously
  const char* move = "";          // how to have it elsewhere
};

Place cache_place(const Host& host) {
  return {.what = "the cache",
          .path = host.layout->cache,
          .written = true,
          .others = S_IWGRP | S_IWOTH,
          .build_bytes = 2000 * kMegabyte,
          .move = "set XDG_CACHE_HOME to a directory of yours"};
}

Place assets_place(const Host& host) {
  return {.what = "the assets",
          .path = host.layout->assets,
          .written = host.layout->checkout,
          .others = S_IWOTH,
          .build_bytes = 600 * kMegabyte,
          .move = "use a checkout of yours"};
}

Place temporary_place(const Host& host) {
  return {.what = "temporary files",
          .path = host.temporary,
          .written = true,
          .build_bytes = 1500 * kMegabyte,
          .move = "set TMPDIR to another directory"};
}

// `path`, or what of it is there already.
fs::path existing(fs::path path) {
  std::error_code error;
  while (path.has_relative_path() && !fs::exists(path, error)) path = path.parent_path();
  return path;
}

bool may_write(const fs::path& directory) {
  return ::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

Observation check_access(const Place& place) {
  auto there = existing(place.path);
  struct stat status{};
  if (::stat(there.c_str(), &status) != 0)
    return as_problem(Error::system("look at", there, errno), place.move);
  if (!S_ISDIR(status.st_mode)) return problem(there.string() + " is no directory", place.move);
  if (place.written && !may_write(there))
    return problem(there.string() + " cannot be written by this user", place.move);
  if (there != place.path) return ok(place.path.string() + " is not there yet");
  if (place.others != 0 && status.st_uid != ::geteuid() && status.st_uid != 0)
    return problem(there.string() + " belongs to uid " + std::to_string(status.st_uid) +
                       ", and what lies there is booted",
                   place.move);
  if ((status.st_mode & place.others) != 0)
    return problem(there.string() + " can be written by others (" + octal(status.st_mode) +
                       "), and what lies there is booted",
                   "chmod go-w " + shell_word(there));
  return ok(there.string() + ", " + octal(status.st_mode));
}

Observation check_space(const Place& place, const Host& host) {
  auto there = existing(place.path);
  auto available = host.available_bytes(there);
  if (!available) return as_warning(available.error(), place.move);
  auto seen = human_size(*available) + " free";
  if (place.written && *available < kRunBytes)
    return problem("only " + seen + " for " + place.what + " in " + there.string(),
                   std::string("make room there, or ") + place.move);
  if (*available < place.build_bytes)
    return warning(seen + " in " + there.string() + " may be too little for 'capsem build-assets'",
                   std::string("make room there, or ") + place.move);
  return ok(std::move(seen));
}

Observation check_place(const Place& place, const Host& host) {
  return together({check_access(place), check_space(place, host)});
}

// A set whose files a killed build had begun to move up is whole for every reader.
Observation check_published(const fs::path& assets) {
  std::error_code error;
  if (!fs::exists(assets / ".next", error) || is_locked(assets / ".lock")) return ok("");
  return warning("a build of the assets was interrupted when it was done",
                 "'capsem build-assets' finishes it; the assets are usable as they are");
}

}  // namespace

Observation check_cache_directory(const Host& host) {
  return check_place(cache_place(host), host);
}

Observation check_assets_directory(const Host& host) {
  auto place = assets_place(host);
  auto published = check_published(place.path);
  auto found = check_place(place, host);
  return published.health == Health::kOk ? found : together({found, published});
}

Observation check_temporary_directory(const Host& host) {
  if (host.temporary.empty())
    return problem("TMPDIR is no directory", "set TMPDIR to a directory, or unset it");
  return check_place(temporary_place(host), host);
}

Observation check_segment_cache(const Host& host) {
  const auto directory = host.layout->cache / initrd::kSegmentsDirectory;
  auto health =
      initrd::check_cache(host.layout->cache, !host.deep, host.deep ? UINT64_MAX : kCacheReadBytes);
  if (!health) return as_problem(health.error(), "rm -rf " + shell_word(directory));
  constexpr auto kLimit = initrd::SegmentCache::kDefaultLimitBytes;
  auto seen = std::to_string(health->segments) + " segments, " + human_size(health->total_bytes) +
              " of at most " + human_size(kLimit);
  std::vector<Observation> found;
  if (!health->damaged.empty()) {
    std::vector<std::string> names;
    names.reserve(health->damaged.size());
    for (const auto& path : health->damaged) names.push_back(path.filename());
    found.push_back(problem("damaged in " + directory.string() + ": " + first_and_more(names),
                            "look after the disk; packing passes over them; 'rm -rf " +
                                shell_word(directory) + "' costs one slow repack"));
  }
  if (health->total_bytes > kLimit)
    found.push_back(warning(seen, "the next 'capsem run' that packs something makes it smaller"));
  if (!found.empty()) return together(found);
  if (health->unread > 0)
    seen += "; " + std::to_string(health->unread) + " not read, which --deep does";
  return ok(std::move(seen));
}

Observation check_leftovers(const Host& host) {
  auto left = find_leftovers(*host.layout);
  std::vector<Observation> found;
  if (!left.files.empty()) {
    std::vector<std::string> names(left.files.begin(), left.files.end());
    std::string command = "rm";
    for (const auto& name : names) command += " " + shell_word(name);
    found.push_back(
        warning("left by a process that was killed: " + first_and_more(names), command));
  }
  if (!left.of_build.empty()) {
    std::vector<std::string> names(left.of_build.begin(), left.of_build.end());
    found.push_back(
        warning("left by a build of the assets that was killed: " + first_and_more(names),
                "the next 'capsem build-assets' removes it"));
  }
  for (const auto& error : left.unread)
    found.push_back(warning(error.statement(), "make it a directory that this user may read"));
  return found.empty() ? ok("nothing was left behind") : together(found);
}

}  // namespace capsem::cli
