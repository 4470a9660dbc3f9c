#include "client/registry.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "base/directory.h"
#include "base/file.h"
#include "base/text.h"
#include "base/user_directories.h"
#include "client/disk.h"
#include "client/registry_errors.h"
#include "client/vm_lock.h"
#include "client/vm_policy.h"

namespace capsem::client {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxNameBytes = 63;  // of a host name's label, RFC 1123
constexpr int kBacklog = 128;
constexpr milliseconds kPause{5};
// Between the lock's being taken and the socket's being there.
constexpr milliseconds kSocketLimit{2000};
constexpr milliseconds kEndLimit{1000};
// Held by who makes, renames or removes a VM; begins with a dot, as no VM does.
constexpr const char* kRegistryLock = ".lock";

std::unexpected<Error> fail_not_there(std::string attempted, const std::string& name) {
  return fail(std::move(attempted), in_quotes(name), "there is none of that name",
              "'capsem ps --all' lists those there are", ErrorKind::kNotFound);
}

// What a path of a descriptor's own directory costs is bounded, whereas a socket's name may have
// 108 bytes (unix(7)).
fs::path path_of(const Fd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

Result<> make_private_directory(const fs::path& path) {
  if (auto made = make_directories(path, 0700); !made) return made;
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return fail_system("use", path, errno);
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid())
    return fail("use", path, "it is no directory of this user", "move it away",
                ErrorKind::kPermission);
  if ((status.st_mode & 077) == 0 || ::chmod(path.c_str(), 0700) == 0) return {};
  return fail_system("close to others", path, errno);
}

Result<Fd> open_directory(const fs::path& path) {
  return open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<sockaddr_un> address_of(const Fd& directory) {
  auto path = path_of(directory) / api::kMonitorSocket;
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.native().size() >= sizeof address.sun_path)
    return fail("use", path, "its name is too long for a socket");
  // The rest of it is zeros.
  path.native().copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  return address;
}

Result<Fd> listen_in(const Fd& directory, const fs::path& shown) {
  auto address = address_of(directory);
  if (!address) return propagate(address);
  ::unlinkat(directory.get(), api::kMonitorSocket, 0);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // The mode of a socket's file is that of the socket, less the umask.
  if (!socket || ::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::listen(socket.get(), kBacklog) != 0)
    return fail_system("listen at", shown / api::kMonitorSocket, errno);
  return socket;
}

// Of one whose `lock` was not to be had.
std::unexpected<Error> fail_locked(std::string attempted, const std::string& name,
                                   const fs::path& lock) {
  auto running = is_running(lock);
  if (!running || *running) return fail_running(std::move(attempted), name);
  return fail(std::move(attempted), in_quotes(name), "it is being copied",
              "try again when 'capsem fork' has ended", ErrorKind::kInvalid);
}

void remove_runtime(const fs::path& directory) {
  ::unlink((directory / api::kMonitorSocket).c_str());
  ::rmdir(directory.c_str());
}

}  // namespace

Result<> check_vm_name(std::string_view name) {
  auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  auto may_follow = [&](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; };
  if (!name.empty() && name.size() <= kMaxNameBytes && is_alphanumeric(name.front()) &&
      std::ranges::all_of(name, may_follow))
    return {};
  std::string shown = printable(name.substr(0, kMaxNameBytes));
  if (name.size() > kMaxNameBytes) shown += "...";
  return fail("use", "'" + shown + "' as the name of a VM",
              "a name has 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit",
              "", ErrorKind::kInvalid);
}

Result<Registry> Registry::open() {
  auto state = capsem::state_directory();
  if (!state) return propagate(state);
  auto runtime = runtime_directory();
  if (!runtime) return propagate(runtime);
  for (const auto& directory : {*state, *state / "vms", *runtime, *runtime / "vms"})
    if (auto made = make_private_directory(directory); !made) return propagate(made);
  return Registry(*state / "vms", *runtime / "vms");
}

Result<Fd> Registry::lock_all() const {
  auto lock = lock_file(state_ / kRegistryLock, LockMode::kExclusive, lock_limit_);
  if (lock) remove_leftovers();
  return lock;
}

// Of those that were killed while they made or removed a VM. What lies below the runtime directory
// belongs to a VM of that name, so that nothing of another registry's that shares it is touched.
void Registry::remove_leftovers() const {
  auto remove = [this](const std::string& entry, std::string_view prefix) {
    std::error_code ignored;
    auto name = entry.substr(prefix.size());
    if (!fs::exists(state_directory(name) / api::kRecordFile, ignored))
      remove_runtime(runtime_ / name);
    fs::remove_all(state_ / entry, ignored);
  };
  for (const auto& entry : names_in(state_).value_or(std::vector<std::string>())) {
    if (entry.starts_with(kRemoved)) remove(entry, kRemoved);
    if (!entry.starts_with(kNew)) continue;
    auto lock = try_lock(state_ / entry / kNewLock);
    if (lock && *lock) remove(entry, kNew);  // otherwise a copy is at work
  }
}

Result<> Registry::check_there(const std::string& name) const {
  if (auto checked = check_vm_name(name); !checked) return checked;
  std::error_code error;
  if (fs::exists(state_directory(name) / api::kRecordFile, error)) return {};
  return fail_not_there("use", name);
}

Result<std::array<Fd, api::kNamedFds>> Registry::take_files(const std::string& name,
                                                            const fs::path& directory) const {
  auto state = open_directory(directory);
  if (!state) return propagate(state);
  auto lock = try_lock(directory / api::kLockFile);
  if (!lock) return propagate(lock);
  if (!*lock) return fail_locked("start", name, directory / api::kLockFile);
  auto runtime_path = runtime_ / name;
  if (auto made = make_private_directory(runtime_path); !made) return propagate(made);
  auto runtime = open_directory(runtime_path);
  if (!runtime) return propagate(runtime);
  auto listener = listen_in(*runtime, runtime_path);
  if (!listener) return propagate(listener);
  return std::array<Fd, api::kNamedFds>{std::move(*state), std::move(**lock), std::move(*runtime),
                                        std::move(*listener)};
}

Result<ClaimedVm> Registry::claim(const std::string& name) const {
  auto all = lock_all();
  if (!all) return propagate(all);
  if (auto there = check_there(name); !there) return propagate(there);
  auto directory = state_directory(name);
  auto files = take_files(name, directory);
  if (!files) return propagate(files);
  auto record = settled_record(name, false);
  if (!record) return propagate(record);
  // The VM's own lock is enough for what may take longer.
  all->reset();
  auto disk = record->start.disk ? open_disk(directory, *record->start.disk) : Result<Fd>();
  if (!disk && disk.error().kind() == ErrorKind::kInvalid) return propagate(disk);  // in use
  if (!disk) {
    api::set_state(*record, api::RecordedState::kFailed, disk.error().message());
    // Who could not read the disk is told that, whether it can be written down or not.
    [[maybe_unused]] auto written = api::write_record(directory, *record);
    remove_runtime(runtime_ / name);
    return propagate(disk);
  }
  auto policy = open_policy(directory);
  if (!policy) return propagate(policy);
  record->start.hostname = name;
  return ClaimedVm{.name = name,
                   .record = std::move(*record),
                   .files = std::move(*files),
                   .disk = std::move(*disk),
                   .policy = std::move(*policy)};
}

Result<> Registry::set_policy(const std::string& name, const std::string& policy) const {
  if (auto there = check_there(name); !there) return there;
  return write_policy(state_directory(name), policy);
}

Result<std::string> Registry::policy(const std::string& name) const {
  if (auto there = check_there(name); !there) return propagate(there);
  return read_policy(state_directory(name));
}

// The record; of a VM that is not `running` with its end put right, where its monitor was not able
// to write that.
Result<api::VmRecord> Registry::settled_record(const std::string& name, bool running) const {
  auto directory = state_directory(name);
  auto record = api::read_record(directory);
  if (!record) return record;
  if (running) record->state = api::RecordedState::kRunning;
  if (running || record->state != api::RecordedState::kRunning) return record;
  bool rebooted = record->boot_id != api::host_boot_id().value_or(std::string());
  api::set_state(*record, api::RecordedState::kStopped,
                 rebooted ? "the host was started again" : "its monitor was killed");
  auto written = api::write_record(directory, *record);
  if (!rebooted)
    notes_.push_back(in_quotes(name) + " was not stopped in order: " + record->reason +
                     (written ? "; what was left of it is cleaned up"
                              : ", which cannot be recorded: " + written.error().message()));
  return record;
}

Result<NamedVm> Registry::find(const std::string& name) const {
  if (auto there = check_there(name); !there) return propagate(there);
  auto lock_path = state_directory(name) / api::kLockFile;
  auto running = is_running(lock_path);
  if (!running) return propagate(running);
  if (*running) {
    auto record = settled_record(name, true);
    if (!record && record.error().kind() == ErrorKind::kNotFound)
      return fail_not_there("use", name);
    return NamedVm{name, std::move(record)};
  }
  auto record = api::read_record(state_directory(name));
  if (!record && record.error().kind() == ErrorKind::kNotFound) return fail_not_there("use", name);
  if (!record || record->state != api::RecordedState::kRunning)
    return NamedVm{name, std::move(record)};
  // Nobody may take it for running meanwhile, or start it.
  auto all = lock_all();
  if (!all) return propagate(all);
  auto lock = try_lock(lock_path);
  if (!lock) return propagate(lock);
  if (!*lock) return NamedVm{name, settled_record(name, true)};
  auto settled = settled_record(name, false);
  remove_runtime(runtime_ / name);
  return NamedVm{name, std::move(settled)};
}

Result<api::VmRecord> Registry::record(const std::string& name) const {
  auto vm = find(name);
  if (!vm) return propagate(vm);
  return std::move(vm->record);
}

Result<std::vector<NamedVm>> Registry::list() const {
  auto names = names_in(state_);
  if (!names) return propagate(names);
  std::vector<NamedVm> found;
  for (const auto& name : *names) {
    if (!check_vm_name(name)) continue;
    auto vm = find(name);
    if (!vm && vm.error().kind() == ErrorKind::kNotFound) continue;
    if (!vm) return propagate(vm);
    found.push_back(std::move(*vm));
  }
  return found;
}

Result<Fd> Registry::connect(const std::string& name) const {
  if (auto there = check_there(name); !there) return propagate(there);
  auto limit = Clock::now() + kSocketLimit;
  for (;;) {
    auto directory = open_directory(runtime_ / name);
    int error = ENOENT;
    if (directory) {
      auto address = address_of(*directory);
      if (!address) return propagate(address);
      Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (!socket) return fail_system("connect to", in_quotes(name), errno);
      if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) ==
          0)
        return socket;
      error = errno;
    }
    auto now = record(name);
    if (!now) return propagate(now);
    if (now->state != api::RecordedState::kRunning)
      return fail("use", in_quotes(name),
                  now->reason.empty() ? "it is not running" : "it is not running: " + now->reason,
                  "start it with 'capsem start " + name + "'", ErrorKind::kClosed);
    if (Clock::now() > limit)
      return fail_system("connect to the monitor of " + in_quotes(name) + " at",
                         runtime_ / name / api::kMonitorSocket, error,
                         "set XDG_RUNTIME_DIR as it was when the VM was started");
    std::this_thread::sleep_for(kPause);
  }
}

Result<> Registry::kill_monitor(const std::string& name) const {
  auto socket = connect(name);
  if (!socket) return propagate(socket);
  // Of the process that listened last, which is the monitor (NamedVm); unix(7).
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket->get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return fail_system("find the monitor of", in_quotes(name), errno);
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  // Looked at again: the number could be another process's by now.
  auto running = is_running(state_directory(name) / api::kLockFile);
  if (!running) return propagate(running);
  if (!*running) return {};
  if (process && ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) == 0)
    return {};
  return fail_system("kill the monitor of", in_quotes(name), errno);
}

Result<bool> Registry::wait_for_end(const std::string& name, milliseconds limit) const {
  for (auto until = Clock::now() + limit;; std::this_thread::sleep_for(kPause)) {
    auto running = is_running(state_directory(name) / api::kLockFile);
    if (!running) return propagate(running);
    if (!*running) return true;
    if (Clock::now() >= until) return false;
  }
}

Result<> Registry::remove(const std::string& name) const {
  auto all = lock_all();
  if (!all) return propagate(all);
  if (auto there = check_there(name); !there) return there;
  auto lock = try_lock(state_directory(name) / api::kLockFile);
  if (!lock) return propagate(lock);
  if (!*lock) return fail_locked("remove", name, state_directory(name) / api::kLockFile);
  // First of all, so that what a crash leaves is no VM any more.
  auto removed = state_ / (kRemoved + name);
  std::error_code error;
  fs::remove_all(removed, error);
  if (::rename(state_directory(name).c_str(), removed.c_str()) != 0)
    return fail_system("remove", in_quotes(name), errno);
  remove_runtime(runtime_ / name);
  // Of a large disk it takes a while; no harm is done if another command takes it for a leftover.
  all->reset();
  fs::remove_all(removed, error);
  if (error) return fail_system("remove", removed, error.value());
  return {};
}

Result<> Registry::rename(const std::string& name, const std::string& to) const {
  auto all = lock_all();
  if (!all) return propagate(all);
  if (auto checked = check_vm_name(to); !checked) return checked;
  if (auto there = check_there(name); !there) return there;
  auto lock = try_lock(state_directory(name) / api::kLockFile);
  if (!lock) return propagate(lock);
  if (!*lock) return fail_locked("rename", name, state_directory(name) / api::kLockFile);
  // Before it, so that a crash leaves nothing at a name that is no VM's.
  remove_runtime(runtime_ / name);
  if (::renameat2(AT_FDCWD, state_directory(name).c_str(), AT_FDCWD, state_directory(to).c_str(),
                  RENAME_NOREPLACE) == 0)
    return {};
  if (errno == EEXIST)
    return fail("rename", in_quotes(name), "there is one called '" + to + "' already", "",
                ErrorKind::kInvalid);
  return fail_system("rename", in_quotes(name), errno);
}

std::string NamedMonitor::end_in_words() {
  auto ended = registry_.wait_for_end(name_, kEndLimit);
  if (!ended) return ended.error().message();
  if (!*ended) return "it does not answer";
  auto vm = registry_.find(name_);
  if (!vm) return vm.error().message();
  if (!vm->record) return vm->record.error().message();
  return vm->record->reason.empty() ? "the VM was stopped" : vm->record->reason;
}

}  // namespace capsem::client
