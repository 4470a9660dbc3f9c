#include "assets/publish.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "assets/index.h"
#include "base/directory.h"
#include "base/file.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

fs::path staging(const fs::path& directory) {
  return directory / ".building";
}

fs::path next(const fs::path& directory) {
  return directory / ".next";
}

Result<> remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return fail_system("remove", path, error.value());
  return {};
}

Result<> sync(const fs::path& path, int flags) {
  auto fd = open_file(path, O_RDONLY | flags);
  if (!fd) return propagate(fd);
  if (::fsync(fd->get()) != 0) return fail_system("write", path, errno);
  return {};
}

Result<> move(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_system("replace", to, errno);
  return {};
}

// The names in a directory, assets.json last.
Result<std::vector<std::string>> names_to_move(const fs::path& directory) {
  auto names = names_in(directory);
  if (names) std::ranges::stable_partition(*names, [](auto& name) { return name != kIndexName; });
  return names;
}

}  // namespace

Result<fs::path> prepare_staging(const fs::path& directory) {
  if (auto removed = remove_staging(directory); !removed) return propagate(removed);
  auto path = staging(directory);
  if (auto made = make_directories(path); !made) return propagate(made);
  return path;
}

Result<> remove_staging(const fs::path& directory) {
  return remove_tree(staging(directory));
}

Result<> publish(const fs::path& directory) {
  auto source = staging(directory);
  auto names = names_to_move(source);
  if (!names) return propagate(names);
  if (names->empty() || names->back() != kIndexName)
    return fail("publish", directory, std::string("it has no ") + kIndexName);
  for (const auto& name : *names)
    if (auto synced = sync(source / name, 0); !synced) return synced;
  if (auto synced = sync(source, O_DIRECTORY); !synced) return synced;
  // Not while an unfinished one stands there: rename(2) would refuse.
  if (auto finished = finish_publishing(directory); !finished) return finished;
  if (auto moved = move(source, next(directory)); !moved) return moved;
  if (auto synced = sync(directory, O_DIRECTORY); !synced) return synced;
  return finish_publishing(directory);
}

Result<> finish_publishing(const fs::path& directory) {
  auto source = next(directory);
  if (::access(source.c_str(), F_OK) != 0) return {};
  auto names = names_to_move(source);
  if (!names) return propagate(names);
  for (const auto& name : *names)
    if (auto moved = move(source / name, directory / name); !moved) return moved;
  if (auto synced = sync(directory, O_DIRECTORY); !synced) return synced;
  if (::rmdir(source.c_str()) != 0) return fail_system("remove", source, errno);
  return {};
}

Result<Fd> open_published(const fs::path& directory, const std::string& name) {
  auto moving = open_file(next(directory) / name, O_RDONLY);
  if (moving || moving.error().kind() != ErrorKind::kNotFound) return moving;
  return open_file(directory / name, O_RDONLY);
}

}  // namespace capsem::assets
