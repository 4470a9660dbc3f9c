// Making VMs: new ones, and copies of others. Either is made whole in a directory that nobody takes
// for a VM, and gets its name last.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "client/disk.h"
#include "client/registry.h"
#include "client/registry_errors.h"
#include "client/vm_lock.h"
#include "client/vm_name.h"
#include "client/vm_policy.h"

namespace capsem::client {
namespace {

namespace fs = std::filesystem;

constexpr int kInventions = 100;

}  // namespace

// A VM's directory before it is one, removed with all in it unless it is kept.
class Registry::NewVm {
 public:
  NewVm(fs::path path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  NewVm(NewVm&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  NewVm& operator=(NewVm&&) = delete;
  ~NewVm() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }

  const fs::path& path() const { return path_; }
  void hold(Fd lock) { lock_ = std::move(lock); }
  void release() { path_.clear(); }

 private:
  fs::path path_;
  Fd lock_;
};

Result<> Registry::check_free(const std::string& name) const {
  if (auto checked = check_vm_name(name); !checked) return checked;
  std::error_code error;
  if (!fs::exists(state_directory(name) / api::kRecordFile, error)) return {};
  return fail("make", in_quotes(name), "there is one of that name already",
              "use 'capsem exec' or 'capsem start' for that one, 'capsem deploy' to bring changes "
              "into it, or remove it with 'capsem rm'",
              ErrorKind::kInvalid);
}

Result<ClaimedVm> Registry::create(std::string name, api::Start start, std::uint64_t disk_bytes,
                                   const std::string& policy) const {
  auto all = lock_all();
  if (!all) return propagate(all);
  std::error_code error;
  bool invented = name.empty();
  for (int i = 0; invented && i < kInventions; ++i) {
    name = invented_vm_name();
    if (i >= kInventions / 2) name += "-" + std::to_string(i);
    if (!fs::exists(state_directory(name), error)) break;
  }
  auto made = make_new(name);
  if (!made) return propagate(made);
  start.hostname = name;
  api::VmRecord record{.start = std::move(start),
                       .boot_id = api::host_boot_id().value_or(std::string())};
  if (disk_bytes != 0) {
    // Of a large disk it takes a while; the directory keeps the name meanwhile.
    all->reset();
    auto disk = make_disk(made->path(), disk_bytes);
    if (!disk) return propagate(disk);
    record.start.disk = std::move(*disk);
    all = lock_all();
    if (!all) return propagate(all);
  }
  api::set_state(record, api::RecordedState::kStopped, "");
  record.created_at = record.changed_at;
  auto disk = record.start.disk ? open_disk(made->path(), *record.start.disk) : Result<Fd>();
  if (!disk) return propagate(disk);
  auto files = take_files(name, made->path());
  if (!files) return propagate(files);
  if (auto written = write_policy(made->path(), policy); !written) return propagate(written);
  auto network = open_policy(made->path());
  if (!network) return propagate(network);
  if (auto kept = keep(std::move(*made), name, record); !kept) return propagate(kept);
  return ClaimedVm{.name = name,
                   .record = std::move(record),
                   .files = std::move(*files),
                   .disk = std::move(*disk),
                   .policy = std::move(*network)};
}

Result<> Registry::fork(const std::string& name, const std::string& to) const {
  const char* attempted = "copy";
  auto vm = find(name);  // with its end put right
  if (!vm) return propagate(vm);
  auto all = lock_all();
  if (!all) return propagate(all);
  auto made = make_new(to);
  if (!made) return propagate(made);
  auto source = state_directory(name);
  // Until the copy is whole nobody starts, removes or renames it; others may copy it too.
  auto lock = try_share(source / api::kLockFile);
  if (!lock) return propagate(lock);
  if (!*lock) return fail_running(attempted, name);
  auto record = api::read_record(source);
  if (!record) return propagate(record, attempted, in_quotes(name));
  all->reset();
  if (record->start.disk)
    if (auto copied = copy_disk(source, made->path()); !copied)
      return propagate(copied, attempted, in_quotes(name));
  auto policy = read_policy(source);
  if (!policy) return propagate(policy, attempted, in_quotes(name));
  if (auto written = write_policy(made->path(), *policy); !written) return written;
  record->start.hostname = to;
  api::set_state(*record, api::RecordedState::kStopped, "");
  record->created_at = record->changed_at;
  all = lock_all();
  if (!all) return propagate(all);
  return keep(std::move(*made), to, *record);
}

Result<Registry::NewVm> Registry::make_new(const std::string& name) const {
  if (auto free = check_free(name); !free) return propagate(free);
  auto path = state_ / (kNew + name);
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno != EEXIST) return fail_system("make the directory", path, errno);
    return fail("make", in_quotes(name), "another command is at it", "", ErrorKind::kInvalid);
  }
  NewVm made(path, Fd());
  auto lock = try_lock(path / kNewLock);
  if (!lock) return propagate(lock, "make", in_quotes(name));
  if (*lock) made.hold(std::move(**lock));
  return made;
}

Result<> Registry::keep(NewVm made, const std::string& name, const api::VmRecord& record) const {
  if (auto written = api::write_record(made.path(), record); !written) return written;
  auto directory = state_directory(name);
  // Empty but for its lock it is what an earlier capsem left of a making; anything else is the
  // user's.
  std::error_code error;
  if (!fs::exists(directory / api::kRecordFile, error)) {
    ::unlink((directory / api::kLockFile).c_str());
    ::rmdir(directory.c_str());
  }
  ::unlink((made.path() / kNewLock).c_str());
  if (::renameat2(AT_FDCWD, made.path().c_str(), AT_FDCWD, directory.c_str(), RENAME_NOREPLACE) !=
      0) {
    int reason = errno;
    if (auto free = check_free(name); !free) return free;
    return fail_system(
        "make the directory", directory, reason,
        reason == EEXIST ? "move away what is there, which is no VM of capsem's" : "");
  }
  made.release();
  return sync_directory(state_);
}

}  // namespace capsem::client
