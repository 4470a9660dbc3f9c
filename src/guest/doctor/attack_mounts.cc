// Attacks on the mount that holds the deployed files, with this session's own rights and with those
// of root in a user namespace that it makes.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"
#include "guest/doctor/attack.h"

namespace capsem::guest::doctor {
namespace {

constexpr const char* kMount = manifest::kGuestRoot;

// How the mount is mounted, as mount(2) takes it.
unsigned long flags_of(const char* path) {
  struct Flag {
    unsigned long of_statvfs;
    unsigned long of_mount;
  };
  constexpr std::array kFlags = {Flag{ST_RDONLY, MS_RDONLY}, Flag{ST_NOSUID, MS_NOSUID},
                                 Flag{ST_NODEV, MS_NODEV}, Flag{ST_NOEXEC, MS_NOEXEC}};
  struct statvfs status{};
  unsigned long flags = 0;
  if (::statvfs(path, &status) == 0)
    for (const auto& flag : kFlags)
      if ((status.f_flag & flag.of_statvfs) != 0) flags |= flag.of_mount;
  return flags;
}

int undone(int error, const std::string& mounted_at) {
  if (error == 0) ::umount2(mounted_at.c_str(), MNT_DETACH);
  return error;
}

int bind_over(const Target& target, const Scratch& scratch) {
  auto file = scratch.file("program");
  auto error = error_of(::mount(file.c_str(), target.program.c_str(), nullptr, MS_BIND, nullptr));
  return undone(error, target.program);
}

int mount_over(const Target&, const Scratch&) {
  return undone(error_of(::mount("tmpfs", kMount, "tmpfs", 0, "size=4k")), kMount);
}

int overlay_over(const Target&, const Scratch& scratch) {
  auto options = std::string("lowerdir=") + kMount + ",upperdir=" + scratch.directory("upper") +
                 ",workdir=" + scratch.directory("work");
  return undone(error_of(::mount("overlay", kMount, "overlay", 0, options.c_str())), kMount);
}

int remount(unsigned long kind) {
  auto flags = flags_of(kMount);
  auto error = error_of(
      ::mount(nullptr, kMount, nullptr, MS_REMOUNT | kind | (flags & ~MS_RDONLY), nullptr));
  if (error == 0) ::mount(nullptr, kMount, nullptr, MS_REMOUNT | kind | flags, nullptr);
  return error;
}

int remount_file_system(const Target&, const Scratch&) {
  return remount(0);
}

int remount_mount(const Target&, const Scratch&) {
  return remount(MS_BIND);
}

// Only ever in a copy of the mounts: where none may be made, this may not be done either.
int unmount(const Target&, const Scratch&) {
  return error_of(::umount2(kMount, MNT_DETACH));
}

int move_mount_away(const Target&, const Scratch& scratch) {
  auto aside = scratch.directory("aside");
  auto error = error_of(::mount(kMount, aside.c_str(), nullptr, MS_MOVE, nullptr));
  if (error == 0) ::mount(aside.c_str(), kMount, nullptr, MS_MOVE, nullptr);
  return error;
}

struct MountAttack {
  const char* name;
  int (*attempt)(const Target& target, const Scratch& scratch);
};

constexpr std::array kAttacks = {
    MountAttack{"bind mount over a program", bind_over},
    MountAttack{"mount over /capsem", mount_over},
    MountAttack{"overlay over /capsem", overlay_over},
    MountAttack{"remount rw: the file system", remount_file_system},
    MountAttack{"remount rw: the mount", remount_mount},
    MountAttack{"umount /capsem", unmount},
    MountAttack{"move /capsem away", move_mount_away},
};

// mount_namespaces(7): what comes from a namespace with more rights is locked in one with less.
constexpr std::array kUserAttacks = {
    MountAttack{"user namespace: remount rw: the file system", remount_file_system},
    MountAttack{"user namespace: remount rw: the mount", remount_mount},
    MountAttack{"user namespace: umount /capsem", unmount},
    MountAttack{"user namespace: move /capsem away", move_mount_away},
};
constexpr std::array kLocked = {EINVAL, EPERM, EACCES};

bool same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// There root may mount what it likes, over /capsem too; nobody else may come to see it.
Outcome stays_in_user_namespace() {
  struct stat before{};
  if (::stat(kMount, &before) != 0) return expect(false, "there is no /capsem");
  auto attack = [] {
    bool mounted = ::mount("tmpfs", kMount, "tmpfs", 0, "size=4k") == 0;
    return expect(true,
                  mounted ? "mounted there, and not seen here" : "it may not be mounted there");
  };
  return in_child(Namespaces::kUser, attack, [&](Outcome outcome) {
    struct stat after{};
    bool same = ::stat(kMount, &after) == 0 && same_file(before, after);
    return same ? std::move(outcome) : expect(false, "it is seen here too");
  });
}

}  // namespace

void add_mount_attacks(Items& items, const Guest& guest) {
  auto target = choose_target(guest.manifest);
  auto add = [&](const MountAttack& attack, Namespaces namespaces, std::span<const int> refusals,
                 const char* expected) {
    items.push_back({attack.name, expected, [=] {
                       // On a tmpfs: an overlay takes no other overlay to write to.
                       Scratch scratch("/dev/shm");
                       return in_child(namespaces, [&] {
                         return judge(attack.attempt(target, scratch), refusals);
                       });
                     }});
  };
  for (const auto& attack : kAttacks)
    add(attack, Namespaces::kMountCopy, permission_refusals(), "refused: Operation not permitted");
  for (const auto& attack : kUserAttacks)
    add(attack, Namespaces::kUser, kLocked, "refused: the mount is locked");
  items.push_back(
      {"user namespace: mount over /capsem", "nobody else sees it", stays_in_user_namespace});
}

}  // namespace capsem::guest::doctor
