#include "initrd/tree_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>
#include <utility>

#include "base/text.h"
#include "initrd/record_rules.h"

namespace capsem::initrd {
namespace {

// What concerns all records still to come.
constexpr std::array kFatal = {ENOSPC, EDQUOT, EIO, EROFS, ENOMEM, EMFILE, ENFILE, ENOSYS};

// Directories and hard links that are remembered; the memory for them has to end somewhere.
constexpr std::size_t kMaxRemembered = 1 << 20;

constexpr mode_t kOwnerAll = 0700;

// Of a directory among directories_, where those above it sort before it.
std::string directory_key(const std::string& path) {
  auto plain = plain_path(path);
  return plain == "." ? "" : plain;
}

FileId id_of(const struct stat& status) {
  return {.device = status.st_dev, .inode = status.st_ino, .type = status.st_mode & S_IFMT};
}

Outcome<FileId> id_of(const Place& place) {
  struct stat status{};
  if (::fstatat(place.parent->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return std::unexpected(errno);
  return id_of(status);
}

// A file that was made here, to be written once more, whatever its mode says by now.
Outcome<Fd> open_made(const Place& place, const FileId& id) {
  Fd found(::openat(place.parent->get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!found || ::fstat(found.get(), &status) != 0) return std::unexpected(errno);
  if (id_of(status) != id) return std::unexpected(ESTALE);
  const auto self = "/proc/self/fd/" + std::to_string(found.get());
  int fd = ::open(self.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 && errno == EACCES && ::chmod(self.c_str(), S_IRUSR | S_IWUSR) == 0)
    fd = ::open(self.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(errno);
  return Fd(fd);
}

Outcome<> outcome(int result) {
  if (result != 0) return std::unexpected(errno);
  return {};
}

std::array<timespec, 2> times_of(const cpio::Header& header) {
  const timespec time{.tv_sec = header.mtime, .tv_nsec = 0};
  return {time, time};
}

std::string_view reason_for(int error) {
  struct Reason {
    int error;
    std::string_view text;
  };
  constexpr std::array kReasons = {
      Reason{ENOTDIR, "something above it is no directory"},
      Reason{ENOENT, "a symbolic link above it leads nowhere"},
      Reason{ELOOP, "the symbolic links above it lead in circles"},
      Reason{ENOTEMPTY, "a directory that is not empty is in its place"},
      Reason{EISDIR, "its name is that of a directory"},
      Reason{ESTALE, "the file that it is another name of was replaced meanwhile"},
      Reason{E2BIG, "the image has more directories or hard links than capsem keeps in mind"},
      Reason{ENOSYS, "this kernel has no openat2(2), without which extracting is not safe"},
  };
  const auto* known = std::ranges::find(kReasons, error, &Reason::error);
  return known == kReasons.end() ? std::string_view{} : known->text;
}

}  // namespace

TreeWriter::TreeWriter(Fd directory, const WriteOptions& options,
                       std::function<void(const Error&)> failed)
    : root_(std::move(directory)),
      options_(options),
      failed_(std::move(failed)),
      uid_(::geteuid()),
      gid_(::getegid()) {}

TreeWriter::~TreeWriter() {
  abandon();
}

Result<> TreeWriter::judge(int error, const std::string& path) {
  abandon();
  auto reason = reason_for(error);
  auto failure = reason.empty() ? Error::system("extract", printable(path), error)
                                : Error("extract", printable(path), std::string(reason));
  if (std::ranges::find(kFatal, error) != kFatal.end()) return std::unexpected(std::move(failure));
  ++summary_.failed;
  failed_(failure);
  return {};
}

Result<> TreeWriter::begin(Entry entry) {
  if (entry.archive != entry_.archive) first_names_.clear();
  entry_ = std::move(entry);
  if (auto made = make(); !made) return judge(made.error(), entry_.path);
  return {};
}

Outcome<> TreeWriter::make() {
  const auto type = entry_.header.type();
  const bool device = type == cpio::kCharacterDevice || type == cpio::kBlockDevice;
  if (device && !options_.devices) {
    ++summary_.devices;
    return {};
  }
  auto place = root_.place(entry_.path);
  if (!place) return std::unexpected(place.error());
  if (type == cpio::kDirectory) return make_directory(*place);
  if (place->name.empty()) return std::unexpected(EISDIR);
  if (type == cpio::kRegular) return make_file(*place);
  if (type == cpio::kSymlink) return make_symlink(*place);
  return make_special(*place);
}

// clean_path(); also what is of the same type, so that nothing from before is written to.
Outcome<> TreeWriter::remove(const Place& place) {
  int result = ::unlinkat(place.parent->get(), place.name.c_str(), 0);
  if (result != 0 && errno == EISDIR) {
    result = ::unlinkat(place.parent->get(), place.name.c_str(), AT_REMOVEDIR);
    if (result == 0) directories_.erase(directory_key(entry_.path));
  }
  root_.forget();
  if (result != 0 && errno == ENOENT) return {};
  return outcome(result);
}

mode_t TreeWriter::permissions() {
  const auto& header = entry_.header;
  mode_t kept = header.permissions();
  if (options_.keep_owner || header.type() == cpio::kDirectory) return kept;
  if (header.uid != uid_) kept &= ~static_cast<mode_t>(S_ISUID);
  if (header.gid != gid_) kept &= ~static_cast<mode_t>(S_ISGID);
  if (kept != header.permissions()) ++summary_.set_id_dropped;
  return kept;
}

// The owner first, as a change of it takes the set-id bits away.
Outcome<> TreeWriter::set_attributes(const Fd& fd) {
  const auto& header = entry_.header;
  if (options_.keep_owner)
    if (::fchown(fd.get(), header.uid, header.gid) != 0) return std::unexpected(errno);
  if (::fchmod(fd.get(), permissions()) != 0) return std::unexpected(errno);
  return outcome(::futimens(fd.get(), times_of(header).data()));
}

// Of what cannot be opened.
Outcome<> TreeWriter::set_attributes(const Place& place) {
  const auto& header = entry_.header;
  const int parent = place.parent->get();
  const char* name = place.name.c_str();
  if (options_.keep_owner)
    if (::fchownat(parent, name, header.uid, header.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return std::unexpected(errno);
  if (header.type() != cpio::kSymlink)
    if (::fchmodat(parent, name, permissions(), AT_SYMLINK_NOFOLLOW) != 0)
      return std::unexpected(errno);
  return outcome(::utimensat(parent, name, times_of(header).data(), AT_SYMLINK_NOFOLLOW));
}

Outcome<> TreeWriter::make_directory(const Place& place) {
  if (!place.name.empty()) {
    const int parent = place.parent->get();
    const char* name = place.name.c_str();
    const mode_t mode = entry_.header.permissions() | kOwnerAll;
    int result = ::mkdirat(parent, name, mode);
    if (result != 0 && errno == EEXIST) {
      struct stat status{};
      if (::fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return std::unexpected(errno);
      result = 0;
      if (!S_ISDIR(status.st_mode)) {
        if (auto removed = remove(place); !removed) return removed;
        result = ::mkdirat(parent, name, mode);
      }
    }
    if (result != 0) return std::unexpected(errno);
  }
  // Its mode may not let us in and its time changes with what is made in it: both at the end.
  directories_.insert_or_assign(directory_key(entry_.path), entry_.header);
  if (directories_.size() > kMaxRemembered) return std::unexpected(E2BIG);
  return {};
}

Outcome<> TreeWriter::make_symlink(const Place& place) {
  const char* target = entry_.target.c_str();  // up to a NUL, as Linux takes it
  int result = ::symlinkat(target, place.parent->get(), place.name.c_str());
  if (result != 0 && errno == EEXIST) {
    if (auto removed = remove(place); !removed) return removed;
    result = ::symlinkat(target, place.parent->get(), place.name.c_str());
  }
  if (result != 0) return std::unexpected(errno);
  return set_attributes(place);
}

Outcome<> TreeWriter::make_special(const Place& place) {
  const auto& header = entry_.header;
  auto joined = join(place);
  if (!joined) return std::unexpected(joined.error());
  if (*joined) return {};
  const dev_t device = ::makedev(header.rdevice_major, header.rdevice_minor);
  const mode_t mode = header.type() | (header.permissions() & kOwnerAll);
  int result = ::mknodat(place.parent->get(), place.name.c_str(), mode, device);
  if (result != 0 && errno == EEXIST) {
    if (auto removed = remove(place); !removed) return removed;
    result = ::mknodat(place.parent->get(), place.name.c_str(), mode, device);
  }
  if (result != 0) return std::unexpected(errno);
  if (auto set = set_attributes(place); !set) return set;
  return remember(place);
}

// The place is kept before anything is written: abandon() removes what is there.
Outcome<> TreeWriter::make_file(const Place& place) {
  auto joined = join(place);
  if (!joined) return std::unexpected(joined.error());
  auto file = *joined ? open_made(place, **joined) : create(place);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  place_ = place;
  if (!*joined) return remember(place);
  // Without a body, the one that came with another name stays.
  if (entry_.body_bytes == 0) return {};
  return outcome(::ftruncate(file_.get(), static_cast<off_t>(entry_.body_bytes)));
}

Outcome<Fd> TreeWriter::create(const Place& place) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const mode_t mode = entry_.header.permissions() & kOwnerAll;
  int fd = ::openat(place.parent->get(), place.name.c_str(), kFlags, mode);
  if (fd < 0 && errno == EEXIST) {
    auto there = id_of(place);
    if (there && there->type == S_IFREG && linked_.contains(*there)) {
      auto made = open_made(place, *there);
      if (made && ::ftruncate(made->get(), 0) != 0) return std::unexpected(errno);
      return made;
    }
    if (auto removed = remove(place); !removed) return std::unexpected(removed.error());
    fd = ::openat(place.parent->get(), place.name.c_str(), kFlags, mode);
  }
  if (fd < 0) return std::unexpected(errno);
  return Fd(fd);
}

// maybe_link(): makes the record another name of a file of its archive, whose id is returned.
Outcome<std::optional<FileId>> TreeWriter::join(const Place& place) {
  if (!may_be_linked(entry_.header)) return std::nullopt;
  auto first = first_names_.find(link_key(entry_.header, entry_.archive));
  if (first == first_names_.end()) return std::nullopt;
  const auto& [path, id] = first->second;
  // The same name once more: Linux would remove the file before it links to it.
  if (id_of(place) == id) return id;
  auto from = root_.place(path);
  if (!from) return std::unexpected(from.error());
  auto link = [&] {
    return ::linkat(from->parent->get(), from->name.c_str(), place.parent->get(),
                    place.name.c_str(), 0);
  };
  int result = link();
  if (result != 0 && errno == EEXIST) {
    if (auto removed = remove(place); !removed) return std::unexpected(removed.error());
    result = link();
  }
  if (result != 0) return std::unexpected(errno == ENOENT ? ESTALE : errno);
  if (id_of(place) == id) return id;
  ::unlinkat(place.parent->get(), place.name.c_str(), 0);
  return std::unexpected(ESTALE);
}

Outcome<> TreeWriter::remember(const Place& place) {
  if (!may_be_linked(entry_.header)) return {};
  auto id = id_of(place);
  if (!id) return std::unexpected(id.error());
  if (linked_.size() >= kMaxRemembered) return std::unexpected(E2BIG);
  first_names_.emplace(link_key(entry_.header, entry_.archive), FirstName{entry_.path, *id});
  linked_.insert(*id);
  return {};
}

Result<> TreeWriter::write(std::span<const std::byte> piece) {
  static const std::string kNoName;
  if (!file_) return {};
  auto written = write_full(file_, piece, kNoName);
  if (written) return {};
  abandon();
  return propagate(written, "extract", printable(entry_.path));
}

Result<> TreeWriter::end() {
  if (!file_) return {};
  auto set = set_attributes(file_);
  if (auto closed = file_.close(printable(entry_.path)); !closed) return closed;
  if (!set) return judge(set.error(), entry_.path);
  return {};
}

void TreeWriter::abandon() {
  if (!file_) return;
  [[maybe_unused]] int emptied = ::ftruncate(file_.get(), 0);  // for its other names
  ::unlinkat(place_.parent->get(), place_.name.c_str(), 0);
  file_.reset();
}

Result<> TreeWriter::finish() {
  for (const auto& [path, header] : std::views::reverse(directories_)) {
    auto directory = root_.open_directory(path);
    // It was replaced by something else, or a directory above it was.
    constexpr std::array kGone = {ENOENT, ENOTDIR, ELOOP};
    if (!directory && std::ranges::find(kGone, directory.error()) != kGone.end()) continue;
    entry_.header = header;
    auto set = directory ? set_attributes(*directory) : std::unexpected(directory.error());
    if (set) continue;
    if (auto judged = judge(set.error(), path); !judged) return judged;
  }
  return {};
}

}  // namespace capsem::initrd
