#include "tar/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <utility>

#include "base/text.h"

namespace capsem::tar {
namespace {

// Directories inside each other: each takes a descriptor, of which a process may have 1024.
constexpr int kMaxDepth = 400;

constexpr std::uint64_t kStatBlockBytes = 512;  // of st_blocks

// File systems that show the state of a kernel, without end in part.
constexpr std::array<long, 7> kKernelFileSystems = {
    PROC_SUPER_MAGIC,    SYSFS_MAGIC,      DEBUGFS_MAGIC,     TRACEFS_MAGIC,
    CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC, DEVPTS_SUPER_MAGIC};

bool is_of_kernel(const Fd& directory) {
  struct statfs status{};
  return ::fstatfs(directory.get(), &status) == 0 &&
         std::ranges::count(kKernelFileSystems, static_cast<long>(status.f_type)) > 0;
}

class Packer {
 public:
  Packer(const PackOptions& options, Writer& writer) : options_(options), writer_(writer) {}

  // The item `name` of `directory`, which is called `path` in the archive.
  Result<> add(const Fd& directory, const std::string& name, const std::string& path, int depth) {
    struct stat status{};
    if (::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return failed(path);
    if (path.size() > kMaxPathBytes)
      return fail("copy", printable(path), "its path is too long", "", ErrorKind::kInvalid);
    auto member = member_of(status, path);
    if (S_ISDIR(status.st_mode)) return add_directory(directory, name, std::move(member), depth);
    if (S_ISLNK(status.st_mode)) return add_symlink(directory, name, std::move(member));
    if (S_ISREG(status.st_mode)) return add_file(directory, name, std::move(member));
    ++packed_.left_out;
    return {};
  }

  Result<> add_content(const Fd& directory, const std::string& path, int depth) {
    if (depth > kMaxDepth)
      return fail("copy", printable(path),
                  "more than " + std::to_string(kMaxDepth) + " directories lie inside each other");
    auto copy = Fd(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    std::unique_ptr<DIR, int (*)(DIR*)> stream(copy ? ::fdopendir(copy.get()) : nullptr,
                                               &::closedir);
    if (!stream) return failed(path);
    copy.release();
    for (;;) {
      errno = 0;  // readdir(3) returns null at the end and at an error alike
      const dirent* item = ::readdir(stream.get());
      if (item == nullptr && errno != 0) return failed(path);
      if (item == nullptr) return {};
      std::string name = item->d_name;
      if (name == "." || name == "..") continue;
      std::string inner = path;
      if (!inner.empty()) inner += '/';
      inner += name;
      if (auto added = add(directory, name, inner, depth); !added) return added;
    }
  }

  Packed packed() const { return packed_; }

 private:
  // errno's; none for what has gone away.
  static Result<> failed(const std::string& path) {
    if (errno == ENOENT) return {};
    return fail_system("copy", printable(path.empty() ? "." : path), errno);
  }

  Member member_of(const struct stat& status, const std::string& path) const {
    constexpr mode_t kPermissions = 07777;
    Member member{.path = path, .mode = status.st_mode & kPermissions, .modified = status.st_mtim};
    if (options_.owners) {
      member.uid = status.st_uid;
      member.gid = status.st_gid;
    }
    return member;
  }

  Result<> add_directory(const Fd& parent, const std::string& name, Member member, int depth) {
    Fd directory(
        ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return failed(member.path);
    auto path = member.path;
    member.kind = Kind::kDirectory;
    member.path += '/';
    if (auto added = writer_.add(member); !added) return added;
    if (is_of_kernel(directory)) return {};
    return add_content(directory, path, depth + 1);
  }

  Result<> add_symlink(const Fd& parent, const std::string& name, Member member) {
    member.kind = Kind::kSymlink;
    member.link.resize(kMaxPathBytes + 1);
    ssize_t size = ::readlinkat(parent.get(), name.c_str(), member.link.data(), member.link.size());
    if (size < 0) return failed(member.path);
    member.link.resize(static_cast<std::size_t>(size));
    return writer_.add(member);
  }

  Result<> add_file(const Fd& parent, const std::string& name, Member member) {
    // Not to wait for what is no file any more.
    Fd file(::openat(parent.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) return failed(member.path);
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return failed(member.path);
    if (!S_ISREG(status.st_mode)) return {};
    if (status.st_nlink > 1) {
      auto [first, is_new] = linked_.try_emplace({status.st_dev, status.st_ino}, member.path);
      if (!is_new) {
        member.kind = Kind::kHardLink;
        member.link = first->second;
        return writer_.add(member);
      }
    }
    member = member_of(status, member.path);
    member.size = static_cast<std::uint64_t>(status.st_size);
    if (static_cast<std::uint64_t>(status.st_blocks) * kStatBlockBytes < member.size)
      find_extents(file, member);
    return writer_.add(member, file);
  }

  // As far as the file system tells them; what follows the last that has room is one more.
  static void find_extents(const Fd& file, Member& member) {
    auto size = static_cast<off_t>(member.size);
    off_t at = 0;
    while (at < size) {
      off_t begin = ::lseek(file.get(), at, SEEK_DATA);
      if (begin < 0 && errno == ENXIO) break;  // a hole to the end
      off_t end = begin < 0 ? -1 : ::lseek(file.get(), begin, SEEK_HOLE);
      if (begin < 0 || end < 0) {
        begin = at;
        end = size;
      }
      end = member.extents.size() + 1 == kMaxExtents ? size : std::min(end, size);
      if (begin < end)
        member.extents.push_back({.offset = static_cast<std::uint64_t>(begin),
                                  .bytes = static_cast<std::uint64_t>(end - begin)});
      at = end;
    }
    bool whole = member.extents.size() == 1 && member.extents.front() == Extent{0, member.size};
    member.sparse = !whole;
    if (whole) member.extents.clear();
  }

  const PackOptions& options_;
  Writer& writer_;
  Packed packed_;
  // Files with more than one name, by device and inode: the first path of each.
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;
};

}  // namespace

Result<Packed> pack(const Place& source, const PackOptions& options, Writer& writer) {
  Packer packer(options, writer);
  auto added =
      source.name.empty() && options.name.empty()
          ? packer.add_content(source.directory, "", 0)
          : packer.add(source.directory, source.name.empty() ? "." : source.name, options.name, 0);
  if (!added) return propagate(added);
  if (auto finished = writer.finish(); !finished) return propagate(finished);
  return packer.packed();
}

}  // namespace capsem::tar
