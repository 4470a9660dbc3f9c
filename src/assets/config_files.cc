#include "assets/config_files.h"

#include <algorithm>

#include "base/file.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxFileBytes = 16 << 20;
constexpr std::uint32_t kPlainMode = 0644;
constexpr std::uint32_t kExecutableMode = 0755;

Result<ConfigFile> read_config_file(const fs::path& directory, const fs::directory_entry& entry) {
  ConfigFile file{.path = entry.path().lexically_relative(directory).string()};
  std::error_code error;
  auto status = entry.symlink_status(error);
  if (error) return fail_system("look at", entry.path(), error.value());
  if (status.type() == fs::file_type::symlink) {
    file.type = ConfigFile::Type::kSymlink;
    file.mode = 0777;
    file.content = fs::read_symlink(entry.path(), error).string();
    if (error) return fail_system("read", entry.path(), error.value());
    return file;
  }
  if (status.type() != fs::file_type::regular)
    return fail("copy into the rootfs", entry.path(), "it is neither a file nor a symbolic link",
                "remove it", ErrorKind::kInvalid);
  auto executable = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
  file.mode = executable ? kExecutableMode : kPlainMode;
  auto content = read_file(entry.path(), kMaxFileBytes);
  if (!content) return propagate(content);
  file.content = std::move(*content);
  return file;
}

}  // namespace

Result<std::vector<ConfigFile>> list_config_files(const fs::path& directory) {
  std::vector<ConfigFile> files;
  std::error_code error;
  fs::recursive_directory_iterator walk(directory, error);
  for (; !error && walk != fs::end(walk); walk.increment(error)) {
    auto type = walk->symlink_status(error).type();
    if (error) break;
    if (type == fs::file_type::directory) continue;
    auto file = read_config_file(directory, *walk);
    if (!file) return propagate(file);
    files.push_back(std::move(*file));
  }
  if (error) return fail_system("read the files in", directory, error.value());
  std::ranges::sort(files, {}, &ConfigFile::path);
  return files;
}

}  // namespace capsem::assets
