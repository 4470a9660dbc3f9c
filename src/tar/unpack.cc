#include "tar/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"

namespace capsem::tar {
namespace {

// As in pack.cc.
constexpr std::size_t kMaxDepth = 400;
constexpr mode_t kMissingDirectoryMode = 0755;
constexpr mode_t kSetId = S_ISUID | S_ISGID;

using Parts = std::vector<std::string>;

// A name for the moment, beside the one that is replaced.
std::string temporary_name() {
  static unsigned made = 0;
  return ".capsem-" + std::to_string(::getpid()) + "-" + std::to_string(++made);
}

class Unpacker {
 public:
  Unpacker(const Place& target, const UnpackOptions& options)
      : target_(target), options_(options) {}

  Result<> add(Member& member, Reader& reader) {
    auto parts = parts_of(member.path);
    if (!parts) return propagate(parts);
    if (member.kind == Kind::kOther) {
      ++unpacked_.left_out;
      return {};
    }
    if (parts->empty()) {  // the target itself
      if (member.kind == Kind::kDirectory) return {};
      return refuse(member.path, "it names no file");
    }
    if (auto entered = enter(*parts, member.path); !entered) return entered;
    const auto& name = parts->back();
    switch (member.kind) {
      case Kind::kDirectory:
        return add_directory(name, member);
      case Kind::kSymlink:
        return add_symlink(name, member);
      case Kind::kHardLink:
        return add_hard_link(name, member);
      default:
        return add_file(name, member, reader);
    }
  }

  // Gives the directories that are still open what they are to have.
  Result<> finish() { return leave(0); }

  Unpacked unpacked() const { return unpacked_; }

 private:
  // A directory below the target that the last member lay in.
  struct Level {
    std::string name;
    Fd fd;
    std::optional<Member> attributes;  // to be given when nothing more is made in there
  };

  static std::unexpected<Error> refuse(const std::string& path, const char* reason) {
    return fail("unpack", printable(path), reason, "", ErrorKind::kInvalid);
  }

  static std::unexpected<Error> failed(const std::string& path, int error) {
    return fail_system("write", printable(path), error);
  }

  // Where a path of the archive is below the target's directory.
  Result<Parts> parts_of(const std::string& path) const {
    if (path.starts_with('/')) return refuse(path, "its path is absolute");
    Parts parts;
    for (auto part : split(path, '/')) {
      if (part.empty() || part == ".") continue;
      if (part == "..") return refuse(path, "its path leads out of the target");
      parts.emplace_back(part);
    }
    if (parts.size() > kMaxDepth) return refuse(path, "it lies too deep");
    if (target_.name.empty()) return parts;
    if (parts.empty() || parts.front() != options_.name)
      return refuse(path, "it was not asked for");
    parts.front() = target_.name;
    return parts;
  }

  const Fd& directory() const { return levels_.empty() ? target_.directory : levels_.back().fd; }

  // Leaves all directories but the first `count`.
  Result<> leave(std::size_t count) {
    while (levels_.size() > count) {
      auto level = std::move(levels_.back());
      levels_.pop_back();
      if (!level.attributes) continue;
      if (auto given = give(level.fd, *level.attributes); !given) return given;
    }
    return {};
  }

  // Goes to the directory of the item `parts`.
  Result<> enter(const Parts& parts, const std::string& path) {
    std::size_t same = 0;
    while (same < levels_.size() && same + 1 < parts.size() && levels_[same].name == parts[same])
      ++same;
    if (auto left = leave(same); !left) return left;
    for (; same + 1 < parts.size(); ++same) {
      auto opened = open_directory(directory(), parts[same], true);
      if (!opened) return failed_directory(path, opened.error());
      levels_.push_back({.name = parts[same], .fd = std::move(*opened), .attributes = {}});
    }
    return {};
  }

  static std::unexpected<Error> failed_directory(const std::string& path, int error) {
    if (error == ELOOP || error == ENOTDIR)
      return refuse(path, "what should be a directory there is a link or a file");
    return failed(path, error);
  }

  static std::expected<Fd, int> open_directory(const Fd& parent, const std::string& name,
                                               bool make) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Fd fd(::openat(parent.get(), name.c_str(), kFlags));
    if (!fd && errno == ENOENT && make) {
      if (::mkdirat(parent.get(), name.c_str(), kMissingDirectoryMode) != 0 && errno != EEXIST)
        return std::unexpected(errno);
      fd = Fd(::openat(parent.get(), name.c_str(), kFlags));
    }
    if (!fd) return std::unexpected(errno);
    return fd;
  }

  // Owner first: a change of it takes the set-ID bits away.
  Result<> give(const Fd& fd, const Member& member) const {
    constexpr uid_t kNobody = ~uid_t{0};
    auto id = [](std::uint64_t number) {
      return static_cast<uid_t>(std::min<std::uint64_t>(number, kNobody - 1));
    };
    if (options_.owners && ::fchown(fd.get(), id(member.uid), id(member.gid)) != 0)
      return failed(member.path, errno);
    auto mode = member.mode;
    if (member.kind == Kind::kFile && !options_.set_id) mode &= ~kSetId;
    const std::array<timespec, 2> times = {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                                           member.modified};
    if (::fchmod(fd.get(), mode) != 0 || ::futimens(fd.get(), times.data()) != 0)
      return failed(member.path, errno);
    return {};
  }

  Result<> add_directory(const std::string& name, const Member& member) {
    // Ours alone until it has its own mode.
    if (::mkdirat(directory().get(), name.c_str(), 0700) != 0 && errno != EEXIST)
      return failed(member.path, errno);
    auto opened = open_directory(directory(), name, false);
    if (!opened) return failed_directory(member.path, opened.error());
    levels_.push_back({.name = name, .fd = std::move(*opened), .attributes = member});
    return {};
  }

  // Has `make` make an item in the directory, under `name` or, to be renamed over what is there
  // when that may be, another; it returns 0 or an errno value.
  template <class Make>
  Result<> put_in_place(const std::string& name, const std::string& path, Make make) {
    int parent = directory().get();
    int error = make(name);
    if (error == 0) return {};
    if (error != EEXIST) return failed(path, error);
    struct stat there{};
    if (::fstatat(parent, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0)
      return failed(path, errno);
    if (S_ISDIR(there.st_mode)) return refuse(path, "there is a directory of that name");
    if (!S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode))
      return refuse(path, "what has that name is no file");
    auto temporary = temporary_name();
    error = make(temporary);
    if (error != 0) return failed(path, error);
    error = ::renameat(parent, temporary.c_str(), parent, name.c_str()) == 0 ? 0 : errno;
    // Also where both are names of one file: rename(2) leaves them then.
    ::unlinkat(parent, temporary.c_str(), 0);
    if (error != 0) return failed(path, error);
    return {};
  }

  Result<> add_symlink(const std::string& name, const Member& member) {
    int parent = directory().get();
    auto make = [&](const std::string& as) {
      if (::symlinkat(member.link.c_str(), parent, as.c_str()) != 0) return errno;
      const std::array<timespec, 2> times = {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                                             member.modified};
      if (options_.owners && ::fchownat(parent, as.c_str(), static_cast<uid_t>(member.uid),
                                        static_cast<gid_t>(member.gid), AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
      return ::utimensat(parent, as.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
    };
    return put_in_place(name, member.path, make);
  }

  Result<> add_hard_link(const std::string& name, const Member& member) {
    auto other = parts_of(member.link);
    if (!other) return propagate(other);
    if (other->empty()) return refuse(member.path, "it is a link to no file");
    std::optional<Fd> holder;
    for (std::size_t i = 0; i + 1 < other->size(); ++i) {
      auto inner = open_directory(holder ? *holder : target_.directory, (*other)[i], false);
      if (!inner) return failed_directory(member.link, inner.error());
      holder = std::move(*inner);
    }
    int from = (holder ? *holder : target_.directory).get();
    int parent = directory().get();
    auto make = [&](const std::string& as) {
      return ::linkat(from, other->back().c_str(), parent, as.c_str(), 0) == 0 ? 0 : errno;
    };
    return put_in_place(name, member.path, make);
  }

  // A file without a name where the file system has that, or else with one for the moment.
  struct NewFile {
    Fd fd;
    int parent;
    std::string name;

    NewFile(Fd opened, int directory, std::string as)
        : fd(std::move(opened)), parent(directory), name(std::move(as)) {}
    NewFile(NewFile&& other) noexcept
        : fd(std::move(other.fd)), parent(other.parent), name(std::exchange(other.name, {})) {}
    NewFile& operator=(NewFile&&) = delete;
    ~NewFile() {
      if (!name.empty()) ::unlinkat(parent, name.c_str(), 0);
    }

    // Gives it the name `as`, which has to be free (EEXIST); returns 0 or an errno value.
    int call(const std::string& as) {
      if (name.empty()) {
        auto self = "/proc/self/fd/" + std::to_string(fd.get());
        int made = ::linkat(AT_FDCWD, self.c_str(), parent, as.c_str(), AT_SYMLINK_FOLLOW);
        return made == 0 ? 0 : errno;
      }
      if (::renameat2(parent, name.c_str(), parent, as.c_str(), RENAME_NOREPLACE) == 0) {
        name.clear();
        return 0;
      }
      // Some file systems have not this way to rename, and others no links.
      if (errno != EINVAL) return errno;
      return ::linkat(parent, name.c_str(), parent, as.c_str(), 0) == 0 ? 0 : errno;
    }
  };

  std::expected<NewFile, int> new_file() {
    constexpr mode_t kOwnerOnly = 0600;
    int parent = directory().get();
    if (unnamed_files_) {
      Fd unnamed(::openat(parent, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, kOwnerOnly));
      if (unnamed) return NewFile(std::move(unnamed), parent, {});
      unnamed_files_ = false;
    }
    auto name = temporary_name();
    Fd named(::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      kOwnerOnly));
    if (!named) return std::unexpected(errno);
    return NewFile(std::move(named), parent, std::move(name));
  }

  Result<> add_file(const std::string& name, const Member& member, Reader& reader) {
    auto file = new_file();
    if (!file) return failed(member.path, file.error());
    if (auto filled = fill(file->fd, member, reader); !filled) return filled;
    if (auto given = give(file->fd, member); !given) return given;
    return put_in_place(name, member.path, [&](const std::string& as) { return file->call(as); });
  }

  static Result<> fill(const Fd& file, const Member& member, Reader& reader) {
    std::uint64_t end = 0;
    for (;;) {
      auto piece = reader.body();
      if (!piece) return propagate(piece);
      if (piece->bytes.empty()) break;
      if (piece->offset != end &&
          ::lseek(file.get(), static_cast<off_t>(piece->offset), SEEK_SET) < 0)
        return failed(member.path, errno);
      if (auto written = write_full(file, piece->bytes, printable(member.path)); !written)
        return written;
      end = piece->offset + piece->bytes.size();
    }
    if (end < member.size && ::ftruncate(file.get(), static_cast<off_t>(member.size)) != 0)
      return failed(member.path, errno);
    return {};
  }

  const Place& target_;
  const UnpackOptions& options_;
  std::vector<Level> levels_;
  bool unnamed_files_ = true;  // they may be asked for
  Unpacked unpacked_;
};

}  // namespace

Result<Unpacked> unpack(Reader& reader, const Place& target, const UnpackOptions& options) {
  Unpacker unpacker(target, options);
  for (;;) {
    auto member = reader.next();
    if (!member) return propagate(member);
    if (!*member) break;
    if (auto added = unpacker.add(**member, reader); !added) return propagate(added);
  }
  if (auto finished = unpacker.finish(); !finished) return propagate(finished);
  return unpacker.unpacked();
}

}  // namespace capsem::tar
