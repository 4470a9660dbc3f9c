#include "guest/init/entry_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "guest/init/console.h"
#include "guest/paths.h"
#include "manifest/manifest.h"

namespace capsem::guest::init {
namespace {

// Where a mount is made that others are to get from it; nothing is mounted there in between.
constexpr const char* kScratch = "/run/capsem/deploy";

struct Option {
  const char* key;
  const char* value;
};
constexpr Option kSetOptions[] = {{"source", "capsem"}, {"mode", "0755"}, {"size", "128m"}};
constexpr Option kBaseOptions[] = {
    {"source", "capsem"}, {"mode", "0755"}, {"size", "4k"}, {"nr_inodes", "2"}};

template <std::size_t N>
Result<Fd> make_tmpfs(const Option (&options)[N]) {
  constexpr const char* kAttempt = "make a file system for";
  Fd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context) return fail_system(kAttempt, manifest::kGuestRoot, errno);
  for (const auto& [key, value] : options)
    if (::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) != 0)
      return fail_system(kAttempt, manifest::kGuestRoot, errno);
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_system(kAttempt, manifest::kGuestRoot, errno);
  Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  if (!mount) return fail_system(kAttempt, manifest::kGuestRoot, errno);
  return mount;
}

Result<> attach(const Fd& mount, const std::string& target) {
  if (::move_mount(mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail_system("mount the entries at", target, errno);
  return {};
}

int make_private(const Fd& mount) {
  mount_attr attributes{};
  attributes.propagation = MS_PRIVATE;
  return ::mount_setattr(mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes);
}

}  // namespace

Result<Fd> make_entry_file_system() {
  return make_tmpfs(kSetOptions);
}

std::string path_of(const Fd& file_system) {
  return "/proc/self/fd/" + std::to_string(file_system.get());
}

Result<> seal(const Fd& file_system) {
  constexpr const char* kAttempt = "make read-only";
  constexpr const char* kSubject = "the file system of the entries";
  Fd context(::fspick(file_system.get(), "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_SET_FLAG, "ro", nullptr, 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) != 0)
    return fail_system(kAttempt, kSubject, errno);
  // The mount beside its file system: a remount of the one does not open the other.
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (::mount_setattr(file_system.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return fail_system(kAttempt, kSubject, errno);
  return {};
}

Result<EntryMount> EntryMount::create(const Fd& first) {
  const std::string own = manifest::kGuestRoot;
  const std::string of_sessions = kSessionRoot + own;
  auto base = make_tmpfs(kBaseOptions);
  if (!base) return propagate(base);
  if (auto sealed = seal(*base); !sealed) return propagate(sealed);
  if (auto attached = attach(*base, own); !attached) return propagate(attached);
  if (::mount(nullptr, own.c_str(), nullptr, MS_SHARED, nullptr) != 0)
    return fail_system("share the mount at", own, errno);
  if (auto made = make_directories(of_sessions); !made) return propagate(made);
  if (::mount(own.c_str(), of_sessions.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return fail_system("bind /capsem to", of_sessions, errno);
  if (auto attached = attach(first, own); !attached) return propagate(attached);
  return EntryMount(std::move(*base));
}

// mount_namespaces(7), and attach_recursive_mnt() of Linux's namespace.c: a mount on one of the
// peers of the base appears on each of them, and where something is mounted on that already, below
// it. So `next` is mounted on a peer that has nothing on it, which puts it below the old set
// everywhere, and then the old set is unmounted, which each of its copies follows. Both are one
// step for whoever looks up a path.
Result<> EntryMount::replace(const Fd& next) {
  if (auto made = make_directories(kScratch); !made) return made;
  Fd peer(::open_tree(base_.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!peer) return fail_system("copy the mount below", manifest::kGuestRoot, errno);
  if (auto attached = attach(peer, kScratch); !attached) return attached;
  auto replaced = attach(next, kScratch);
  if (replaced && ::umount2(manifest::kGuestRoot, MNT_DETACH) != 0) {
    replaced = fail_system("unmount", manifest::kGuestRoot, errno);
    // While the peer is one of them still: what was mounted on it goes everywhere.
    ::umount2(kScratch, MNT_DETACH);
  }
  // What happens on it from here on concerns no other.
  if (make_private(peer) != 0)
    log(Error::system("set apart the mount at", kScratch, errno).message());
  while (::umount2(kScratch, MNT_DETACH) == 0) {
  }
  return replaced;
}

}  // namespace capsem::guest::init
