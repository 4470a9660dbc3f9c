#include "assets/scratch.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/process.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNameStart = "capsem-packages-";

bool is_ours(const fs::path& path) {
  struct stat status{};
  return path.is_absolute() && path.filename().string().starts_with(kNameStart) &&
         ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
         status.st_uid == ::geteuid();
}

// Empties `path` by rm(1), which follows nothing that is mounted below; `before` runs it elsewhere.
void empty(const fs::path& path, std::vector<std::string> before) {
  std::vector<std::string> argv = std::move(before);
  argv.insert(argv.end(), {"sh", "-c", "rm -rf --one-file-system -- \"$1\"/*", "sh", path});
  [[maybe_unused]] auto done = run_for_output({.argv = std::move(argv)});
}

void remove_scratch(const fs::path& path) {
  if (!is_ours(path)) return;
  // The tree belongs to ids of a user namespace, what mmdebstrap keeps beside it to this user.
  if (::geteuid() != 0 && !fs::is_empty(path)) empty(path, {"mmdebstrap", "--unshare-helper"});
  if (!fs::is_empty(path)) empty(path, {});
  ::rmdir(path.c_str());
}

}  // namespace

Result<Scratch> Scratch::create(fs::path record) {
  std::error_code error;
  auto left = fs::read_symlink(record, error);
  if (!error) remove_scratch(left);
  fs::remove(record, error);

  auto temporary = fs::temp_directory_path(error);
  if (error) return fail_system("use", "TMPDIR", error.value());
  std::string path = temporary / (std::string(kNameStart) + "XXXXXX");
  if (::mkdtemp(path.data()) == nullptr)
    return fail_system("make a directory in", temporary, errno);
  // The link first: from here on nothing is lost when this process is killed.
  if (::symlink(path.c_str(), record.c_str()) != 0) {
    int reason = errno;
    ::rmdir(path.c_str());
    return fail_system("write", record, reason);
  }
  if (::chmod(path.c_str(), 0755) != 0) return fail_system("open up", path, errno);
  return Scratch(std::move(record), std::move(path));
}

Scratch::~Scratch() {
  if (path_.empty()) return;
  remove_scratch(path_);
  std::error_code ignored;
  if (!fs::exists(path_, ignored)) fs::remove(record_, ignored);
}

}  // namespace capsem::assets
