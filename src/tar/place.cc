#include "tar/place.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/text.h"

namespace capsem::tar {
namespace {

constexpr mode_t kNewDirectoryMode = 0755;

std::string_view without_slashes_behind(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// "." for a name alone, as dirname(1) has it.
std::string directory_of(std::string_view path) {
  path = without_slashes_behind(path);
  auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

Result<Fd> open_directory(const std::string& path) {
  auto fd = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return fail_system("use the directory", printable(path), fd.error().system_error());
  return fd;
}

Result<Place> item_at(const std::string& path) {
  auto name = item_name(path);
  if (name.empty())
    return fail("copy to", printable(path), "it names no file", "", ErrorKind::kInvalid);
  auto directory = open_directory(directory_of(path));
  if (!directory) return propagate(directory);
  return Place{.directory = std::move(*directory), .name = std::move(name)};
}

}  // namespace

std::string item_name(std::string_view path) {
  path = without_slashes_behind(path);
  auto name = path.substr(path.rfind('/') + 1);  // all of it when there is none
  return name == "." || name == ".." ? std::string() : std::string(name);
}

Result<Place> source_of(const std::string& path) {
  auto name = item_name(path);
  bool is_content = name.empty();
  // "link/" is what the link leads to.
  if (!is_content && path.ends_with('/')) {
    std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
    if (!real) return fail_system("copy", printable(path), errno);
    return source_of(real.get());
  }
  auto directory = open_directory(is_content ? path : directory_of(path));
  if (!directory) return propagate(directory);
  Place place{.directory = std::move(*directory), .name = std::move(name)};
  struct stat status{};
  if (!is_content &&
      ::fstatat(place.directory.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_system("copy", printable(path), errno);
  return place;
}

Result<Place> target_of(const std::string& path, const std::string& name) {
  struct stat status{};
  bool is_there = ::stat(path.c_str(), &status) == 0;
  int reason = errno;
  if (name.empty()) {
    if (!is_there && reason == ENOENT && ::mkdir(path.c_str(), kNewDirectoryMode) != 0)
      return fail_system("make the directory", printable(path), errno);
    auto directory = open_directory(path);
    if (!directory) return propagate(directory);
    return Place{.directory = std::move(*directory), .name = {}};
  }
  if (!is_there && reason != ENOENT) return fail_system("copy to", printable(path), reason);
  if (is_there && S_ISDIR(status.st_mode)) {
    auto directory = open_directory(path);
    if (!directory) return propagate(directory);
    return Place{.directory = std::move(*directory), .name = name};
  }
  if (!is_there) return item_at(path);
  if (!S_ISREG(status.st_mode))
    return fail("copy to", printable(path), "it is neither a file nor a directory", "",
                ErrorKind::kInvalid);
  std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  if (!real) return fail_system("copy to", printable(path), errno);
  return item_at(real.get());
}

}  // namespace capsem::tar
