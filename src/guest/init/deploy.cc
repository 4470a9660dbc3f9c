#include "guest/init/deploy.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include "base/file.h"
#include "guest/init/mounts.h"
#include "manifest/policy.h"
#include "manifest/table.h"

namespace capsem::guest::init {
namespace {

using manifest::Entry;
using manifest::FileType;

constexpr std::uint64_t kFileLimitBytes = 1ULL << 32;

Result<std::vector<std::string>> names_in(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return fail_system("list", directory, errno);
  std::vector<std::string> names;
  while (const dirent* item = ::readdir(stream)) {
    std::string name = item->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  ::closedir(stream);
  std::ranges::sort(names);
  return names;
}

class Deployer {
 public:
  explicit Deployer(const DeployRoots& roots) : roots_(roots) {}

  // Where the entry was taken from; kAbsent when no place has an acceptable copy.
  Result<Origin> place(const Entry& entry) {
    struct Place {
      bool listed;
      const std::string& root;
      Origin origin;
    };
    for (const auto& [listed, root, origin] :
         {Place{entry.in_initrd, roots_.initrd, Origin::kInitrd},
          Place{entry.in_rootfs, roots_.rootfs, Origin::kRootfs}}) {
      if (!listed || !acceptable(entry, root + entry.path)) continue;
      if (auto copied = copy(entry, root + entry.path, target_of(entry.path)); !copied)
        return propagate(copied, "deploy", entry.name);
      return origin;
    }
    return Origin::kAbsent;
  }

  std::vector<std::string>& problems() { return problems_; }

 private:
  std::string target_of(const std::string& path) const {
    return roots_.target + path.substr(std::string_view(manifest::kGuestRoot).size());
  }

  // Whether all of the copy is as the policy says; what is wrong with it becomes a problem.
  bool acceptable(const Entry& entry, const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
      if (errno != ENOENT) problems_.push_back(Error::system("look at", path, errno).message());
      return false;
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
      problems_.push_back("cannot accept " + path + ": it is neither a file nor a directory");
      return false;
    }
    auto type = S_ISDIR(status.st_mode) ? FileType::kDirectory : FileType::kFile;
    auto fits = manifest::check_found(entry, type, status.st_mode & 07777, status.st_uid,
                                      status.st_gid, path);
    if (!fits) {
      problems_.push_back(fits.error().message());
      return false;
    }
    if (type == FileType::kFile) return true;
    auto names = names_in(path);
    if (!names) {
      problems_.push_back(names.error().message());
      return false;
    }
    return std::ranges::all_of(
        *names, [&](const auto& name) { return acceptable(entry, path + "/" + name); });
  }

  Result<> copy(const Entry& entry, const std::string& source, const std::string& target) {
    struct stat status{};
    if (::lstat(source.c_str(), &status) != 0) return fail_system("look at", source, errno);
    auto parent = target.substr(0, target.rfind('/'));
    if (auto made = make_directories(parent, manifest::kParentMode); !made) return made;
    return S_ISDIR(status.st_mode) ? copy_directory(entry, source, target)
                                   : copy_file(entry, source, target, status);
  }

  Result<> copy_directory(const Entry& entry, const std::string& source,
                          const std::string& target) {
    auto names = names_in(source);
    if (!names) return propagate(names);
    if (auto made = make_directories(target); !made) return made;
    for (const auto& item : *names) {
      auto name = "/" + item;
      if (auto copied = copy(entry, source + name, target + name); !copied) return copied;
    }
    return set_mode(target, manifest::expected_mode(entry, FileType::kDirectory));
  }

  // Names of one file, such as those of the guest programs' one executable, stay names of one file.
  Result<> copy_file(const Entry& entry, const std::string& source, const std::string& target,
                     const struct stat& status) {
    auto key =
        std::tuple(status.st_dev, status.st_ino, manifest::expected_mode(entry, FileType::kFile));
    auto known = copied_.find(key);
    if (known != copied_.end()) {
      if (::link(known->second.c_str(), target.c_str()) != 0)
        return fail_system("link", target, errno);
      return {};
    }
    auto content = read_file(source, kFileLimitBytes);
    if (!content) return propagate(content);
    auto file = open_file(target, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!file) return propagate(file);
    if (auto written = write_full(*file, as_bytes(*content), target); !written) return written;
    if (auto closed = file->close(target); !closed) return closed;
    copied_[key] = target;
    return set_mode(target, manifest::expected_mode(entry, FileType::kFile));
  }

  static Result<> set_mode(const std::string& path, std::uint32_t mode) {
    if (::chmod(path.c_str(), mode) != 0) return fail_system("set the mode of", path, errno);
    return {};
  }

  const DeployRoots& roots_;
  std::vector<std::string> problems_;
  std::map<std::tuple<dev_t, ino_t, std::uint32_t>, std::string> copied_;
};

}  // namespace

Result<Deployment> deploy(const manifest::Manifest& manifest, const DeployRoots& roots) {
  Deployer deployer(roots);
  Deployment deployment;
  for (const auto& entry : manifest.entries) {
    if (entry.is_init()) continue;
    auto origin = deployer.place(entry);
    if (!origin) return propagate(origin);
    deployment.entries.push_back({.name = entry.name, .origin = *origin});
    if (*origin != Origin::kAbsent) continue;
    deployer.problems().push_back(entry.name + " is neither in the initrd nor in the rootfs");
    if (!entry.essential) continue;
    std::string reasons;
    for (const auto& problem : deployer.problems())
      reasons += (reasons.empty() ? "" : "; ") + problem;
    return fail("deploy", entry.name, reasons);
  }
  deployment.problems = std::move(deployer.problems());
  return deployment;
}

Result<Deployment> deploy_for_new_root(const manifest::Manifest& manifest) {
  std::string target = kDeployment;
  auto mounted =
      mount_file_system("capsem", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=128m");
  if (!mounted) return propagate(mounted);
  auto deployment = deploy(manifest, {.initrd = "", .rootfs = kRootfs, .target = target});
  if (!deployment) return deployment;
  auto table =
      target + std::string(manifest::kTablePath).substr(std::string(manifest::kGuestRoot).size());
  auto written =
      write_file_atomically(table, manifest::encode_table(manifest), manifest::kTableMode);
  if (!written) return propagate(written);
  unsigned long flags = MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (::mount(nullptr, target.c_str(), nullptr, flags, nullptr) != 0)
    return fail_system("make read-only", target, errno);
  return deployment;
}

}  // namespace capsem::guest::init
