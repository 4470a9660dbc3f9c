// Attacks on the deployed files by their paths.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/directory.h"
#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/attack.h"
#include "manifest/manifest.h"

namespace capsem::guest::doctor {
namespace {

// A program that runs cannot be opened for writing either; what nobody executes has no such luck.
int open_for_writing(const std::string& path) {
  return error_of(Fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW)).get());
}

int write_program(const Target& target) {
  return open_for_writing(target.program);
}

int write_data(const Target& target) {
  return open_for_writing(target.data);
}

// To the size it has, which a kernel that allows it takes as a change.
int truncate_data(const Target& target) {
  struct stat status{};
  if (::stat(target.data.c_str(), &status) != 0) return errno;
  return error_of(::truncate(target.data.c_str(), status.st_size));
}

int change_mode(const Target& target) {
  struct stat status{};
  if (::stat(target.program.c_str(), &status) != 0) return errno;
  int error = error_of(::chmod(target.program.c_str(), 0755));
  if (error == 0) ::chmod(target.program.c_str(), status.st_mode & 07777);
  return error;
}

int change_owner(const Target& target) {
  struct stat status{};
  if (::stat(target.program.c_str(), &status) != 0) return errno;
  int error = error_of(::chown(target.program.c_str(), status.st_uid + 1, status.st_gid));
  if (error == 0) ::chown(target.program.c_str(), status.st_uid, status.st_gid);
  return error;
}

std::string other_name(const std::string& path) {
  return path + ".capsem-doctor";
}

int move_away(const Target& target) {
  auto other = other_name(target.program);
  int error = error_of(::rename(target.program.c_str(), other.c_str()));
  if (error == 0) ::rename(other.c_str(), target.program.c_str());
  return error;
}

// With a second name, where one can be made, from which the first is made again.
int remove_name(const Target& target) {
  auto other = other_name(target.program);
  bool spare = ::link(target.program.c_str(), other.c_str()) == 0;
  int error = error_of(::unlink(target.program.c_str()));
  if (spare && error == 0) ::rename(other.c_str(), target.program.c_str());
  if (spare && error != 0) ::unlink(other.c_str());
  return error;
}

int link_over(const Target& target) {
  auto other = other_name(target.program);
  int error = error_of(::link(target.data.c_str(), other.c_str()));
  if (error == 0) ::unlink(other.c_str());
  return error;
}

int symlink_over(const Target& target) {
  auto other = other_name(target.program);
  int error = error_of(::symlink("/bin/true", other.c_str()));
  if (error == 0) ::unlink(other.c_str());
  return error;
}

int add_file(const Target&) {
  auto path = std::string(manifest::kProgramDirectory) + "/ls";
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
  int error = error_of(file.get());
  if (error == 0) ::unlink(path.c_str());
  return error;
}

// The path that leads around the mounts of the attacker's own namespace.
int write_through_pid_1(const Target& target) {
  return open_for_writing("/proc/1/root" + target.data);
}

// Their mode and owner are the whole machine's: of each file of /proc that is no process, to the
// mode and owner it has.
Outcome change_proc(const Guest&) {
  auto names = names_in("/proc");
  if (!names) return expect(false, names.error().message());
  std::vector<std::string> changed;
  for (const auto& name : *names) {
    auto path = "/proc/" + name;
    struct stat status{};
    bool is_process = name.find_first_not_of("0123456789") == std::string::npos;
    if (is_process || ::lstat(path.c_str(), &status) != 0 || S_ISLNK(status.st_mode)) continue;
    if (::chmod(path.c_str(), status.st_mode & 07777) == 0 ||
        ::chown(path.c_str(), status.st_uid, status.st_gid) == 0)
      changed.push_back(std::move(path));
  }
  return expect(changed.empty(), changed.empty() ? "all refused" : join(changed, " "));
}

constexpr std::array kRows = {
    CheckRow{"modes of /proc", "no file that is no process can be changed", change_proc},
};

struct FileAttack {
  const char* name;
  int (*attempt)(const Target& target);
};

constexpr std::array kAttacks = {
    FileAttack{"write a program", write_program},
    FileAttack{"write a data file", write_data},
    FileAttack{"truncate", truncate_data},
    FileAttack{"chmod", change_mode},
    FileAttack{"chown", change_owner},
    FileAttack{"rename", move_away},
    FileAttack{"unlink", remove_name},
    FileAttack{"link over", link_over},
    FileAttack{"symlink over", symlink_over},
    FileAttack{"add a program", add_file},
    FileAttack{"write through /proc/1/root", write_through_pid_1},
};

}  // namespace

void add_file_attacks(Items& items, const Guest& guest) {
  auto target = choose_target(guest.manifest);
  for (const auto& attack : kAttacks)
    items.push_back({attack.name, "refused: Read-only file system", [target, attack] {
                       return judge(attack.attempt(target), read_only_refusals());
                     }});
  add_rows(items, kRows, guest);
}

}  // namespace capsem::guest::doctor
