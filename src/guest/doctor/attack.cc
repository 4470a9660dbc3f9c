#include "guest/doctor/attack.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "guest/doctor/groups.h"
#include "manifest/policy.h"
#include "manifest/table.h"

namespace capsem::guest::doctor {
namespace {

constexpr int kChildMilliseconds = 10'000;
constexpr std::size_t kMaxReportBytes = 512;

constexpr std::array kReadOnly = {EROFS, EACCES, EPERM};
constexpr std::array kPermission = {EPERM, EACCES};
constexpr std::array kMissing = {ENOENT, ENXIO, ENODEV, EROFS, EACCES, EPERM};

int remove_one(const char* path, const struct stat*, int, struct FTW*) {
  return ::remove(path);
}

bool write_text(const char* path, const std::string& text) {
  auto file = open_file(path, O_WRONLY);
  return file && write_full(*file, as_bytes(text), path);
}

// user_namespaces(7): without CAP_SETGID in the parent's namespace groups must be given up first.
int enter_user_namespace() {
  auto uid = std::to_string(::getuid());
  auto gid = std::to_string(::getgid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return errno;
  bool mapped = write_text("/proc/self/setgroups", "deny") &&
                write_text("/proc/self/uid_map", "0 " + uid + " 1") &&
                write_text("/proc/self/gid_map", "0 " + gid + " 1");
  return mapped ? 0 : errno;
}

// Nothing when the attack may begin.
std::optional<Outcome> enter(Namespaces namespaces) {
  if (namespaces == Namespaces::kUser) {
    if (int error = enter_user_namespace(); error != 0)
      return expect(true, std::string("no user namespace: ") + std::strerror(error));
  }
  if (namespaces != Namespaces::kMountCopy) return std::nullopt;
  int error = error_of(::unshare(CLONE_NEWNS));
  // Whoever may not do that may not change mounts either, so that the attack is harmless in place.
  if (error == EPERM) return std::nullopt;
  if (error == 0) error = error_of(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  if (error != 0)
    return expect(false, std::string("no copy of the mounts: ") + std::strerror(error));
  return std::nullopt;
}

[[noreturn]] void run_attack(Namespaces namespaces, const std::function<Outcome()>& attack,
                             const Fd& report, const Fd& release) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto refused = enter(namespaces);
  auto outcome = refused ? *refused : attack();
  std::string text(1, outcome.verdict == Verdict::kPass ? 'p' : 'f');
  text += outcome.seen.substr(0, kMaxReportBytes - 1);
  // In one write(2), which a pipe does not tear apart.
  [[maybe_unused]] auto written = ::write(report.get(), text.data(), text.size());
  std::byte ignored{};
  [[maybe_unused]] auto ended = ::read(release.get(), &ignored, 1);
  ::_exit(0);
}

Outcome receive(const Fd& report) {
  pollfd ready{report.get(), POLLIN, 0};
  if (::poll(&ready, 1, kChildMilliseconds) != 1) return expect(false, "it did not end in time");
  std::array<char, kMaxReportBytes> buffer;
  ssize_t size = ::read(report.get(), buffer.data(), buffer.size());
  if (size <= 0) return expect(false, "the process that attacked was ended");
  return expect(buffer[0] == 'p',
                std::string(buffer.data() + 1, static_cast<std::size_t>(size) - 1));
}

}  // namespace

Target choose_target(const manifest::Manifest& manifest) {
  Target target{.program = {}, .data = manifest::kTablePath};
  for (const auto& entry : manifest.entries)
    if (entry.build && !entry.is_init()) target.program = entry.path;
  return target;
}

int error_of(long result) {
  return result < 0 ? errno : 0;
}

Outcome judge(int error, std::span<const int> refusals) {
  if (error == 0) return expect(false, "it succeeded, and was undone");
  if (std::ranges::find(refusals, error) != refusals.end())
    return expect(true, std::strerror(error));
  return expect(false, std::string("it was not refused, only failed: ") + std::strerror(error));
}

std::span<const int> read_only_refusals() {
  return kReadOnly;
}

std::span<const int> permission_refusals() {
  return kPermission;
}

std::span<const int> missing_refusals() {
  return kMissing;
}

Scratch::Scratch(const char* parent) : path_(std::string(parent) + "/capsem-doctor-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) path_.clear();
}

Scratch::~Scratch() {
  constexpr int kMostDirectories = 8;
  if (!path_.empty()) ::nftw(path_.c_str(), remove_one, kMostDirectories, FTW_DEPTH | FTW_PHYS);
}

std::string Scratch::file(const char* name) const {
  auto path = path_ + "/" + name;
  [[maybe_unused]] auto made = open_file(path, O_WRONLY | O_CREAT, 0700);
  return path;
}

std::string Scratch::directory(const char* name) const {
  auto path = path_ + "/" + name;
  [[maybe_unused]] int made = ::mkdir(path.c_str(), 0700);
  return path;
}

Outcome in_child(Namespaces namespaces, const std::function<Outcome()>& attack,
                 const std::function<Outcome(Outcome)>& meanwhile) {
  auto report = make_pipe();
  auto release = make_pipe();
  if (!report || !release) return expect(false, "no pipe can be made");
  pid_t pid = ::fork();
  if (pid < 0) return expect(false, std::string("no process can be made: ") + std::strerror(errno));
  if (pid == 0) {
    report->first.reset();
    release->second.reset();
    run_attack(namespaces, attack, report->second, release->first);
  }
  report->second.reset();
  auto outcome = receive(report->first);
  if (meanwhile) outcome = meanwhile(std::move(outcome));
  release->second.reset();
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return outcome;
}

Items protection_items(const Guest& guest) {
  Items items;
  add_file_attacks(items, guest);
  add_mount_attacks(items, guest);
  add_process_attacks(items, guest);
  add_device_attacks(items, guest);
  add_kernel_attacks(items, guest);
  add_network_attacks(items, guest);
  add_capability_checks(items, guest);
  return items;
}

}  // namespace capsem::guest::doctor
