#include "assets/scratch.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

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

// As root by itself, else as the root of the user namespace that the files belong to. Nothing
// that is mounted below is followed.
void remove_scratch(const fs::path& path) {
  if (!is_ours(path)) return;
  if (fs::is_empty(path)) {
    ::rmdir(path.c_str());
    return;
  }
  Command command{.argv = {"rm", "-rf", "--one-file-system", "--", path}};
  if (::geteuid() != 0) {
    // The namespace's root may empty the directory, but only its owner may remove it from TMPDIR.
    std::string script = "rm -rf --one-file-system -- \"$1\"/*";
    command.argv = {"mmdebstrap", "--unshare-helper", "sh", "-c", script, "sh", path};
  }
  [[maybe_unused]] auto removed = run_for_output(std::move(command));
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
