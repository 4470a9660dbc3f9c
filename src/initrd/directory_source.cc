#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/directory.h"
#include "base/text.h"
#include "initrd/sources.h"

namespace capsem::initrd {
namespace {

class Lister {
 public:
  explicit Lister(Owner owner) : owner_(owner) {}

  // `path` ends with a slash, and so does `prefix` unless it is empty.
  Result<> list(const std::string& path, const std::string& prefix) {
    auto names = names_in(path);
    if (!names) return propagate(names);
    for (const auto& name : *names) {
      struct stat status{};
      if (::lstat((path + name).c_str(), &status) != 0)
        return fail_system("look at", path + name, errno);
      if (auto added = add(path + name, prefix + name, status); !added) return added;
      if (!S_ISDIR(status.st_mode)) continue;
      if (auto listed = list(path + name + "/", prefix + name + "/"); !listed) return listed;
    }
    return {};
  }

  std::vector<Node> finish() {
    // A hard link's names before the last are gone from where they were: see add().
    std::erase_if(nodes_, [](const Node& node) { return node.paths.empty(); });
    return std::move(nodes_);
  }

 private:
  Result<> add(const std::string& source, const std::string& path, const struct stat& status) {
    if (auto checked = cpio::check_path(path); !checked) return checked;
    Node node;
    node.paths = earlier_names(status);
    node.paths.push_back(path);
    node.metadata = {.mode = status.st_mode, .mtime = archived_time(status.st_mtime)};
    if (owner_ == Owner::kKeep) {
      node.metadata.uid = status.st_uid;
      node.metadata.gid = status.st_gid;
    }
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
      node.metadata.rdevice_major = major(status.st_rdev);
      node.metadata.rdevice_minor = minor(status.st_rdev);
    }
    if (auto filled = fill(node, source, status); !filled) return filled;
    nodes_.push_back(std::move(node));
    return {};
  }

  static Result<> fill(Node& node, const std::string& source, const struct stat& status) {
    if (S_ISREG(status.st_mode)) {
      node.content.file = source;
      node.content.identity = identity_of(status);
      node.body_bytes = node.content.identity->size_bytes;
      if (node.body_bytes > cpio::kMaxBodyBytes)
        return fail("archive", source, "it is larger than 4 GiB, which the newc format cannot say",
                    "", ErrorKind::kInvalid);
    }
    if (S_ISLNK(status.st_mode)) {
      std::error_code error;
      node.content.bytes = std::filesystem::read_symlink(source, error);
      if (error) return fail("read the link", source, error.message());
      node.body_bytes = node.content.bytes.size();
    }
    return {};
  }

  // The other names of a hard link, taken from where they were found: the body goes with the last,
  // by when the directories of all of them are there.
  std::vector<std::string> earlier_names(const struct stat& status) {
    if (!S_ISREG(status.st_mode) || status.st_nlink < 2) return {};
    auto [known, is_new] = links_.emplace(std::pair(status.st_dev, status.st_ino), nodes_.size());
    if (is_new) return {};
    auto names = std::move(nodes_[known->second].paths);
    nodes_[known->second].paths.clear();
    known->second = nodes_.size();
    return names;
  }

  Owner owner_;
  std::vector<Node> nodes_;
  std::map<std::pair<dev_t, ino_t>, std::size_t> links_;  // where the node of the last name is
};

}  // namespace

Result<std::vector<Node>> list_directory(const std::filesystem::path& directory, Owner owner) {
  Lister lister(owner);
  if (auto listed = lister.list(directory.string() + "/", ""); !listed) return propagate(listed);
  return lister.finish();
}

}  // namespace capsem::initrd
