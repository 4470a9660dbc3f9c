// The VMs of this user that have a name. Each is two directories: one of state, which stays, and
// one with its monitor's socket (api/vm_record.h). A VM runs when its lock is held: by its monitor,
// to which the descriptor was handed over, so that nothing can hold it longer than that. What a
// killed monitor left is put right by whoever comes next.
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/lease.h"
#include "api/vm_record.h"
#include "base/error.h"
#include "base/fd.h"
#include "client/monitor_link.h"

namespace capsem::client {

// From a VM's end to that of its monitor, which has little left to do.
inline constexpr std::chrono::seconds kMonitorEndLimit{10};

// Letters, digits, '.', '_' and '-', the first of them a letter or digit, at most 63: what is also
// a host name and a file's name. kInvalid, with the rule, for anything else.
Result<> check_vm_name(std::string_view name);

struct NamedVm {
  std::string name;
  Result<api::VmRecord> record;  // its state is the true one, whatever the file says
};

// A VM that this process holds the lock of and may start.
struct ClaimedVm {
  std::string name;
  api::VmRecord record;
  std::array<Fd, api::kNamedFds> files;  // by api::NamedFd
  Fd disk;                               // where the record has one
  Fd policy;                             // of its network, to be read
};

class Registry {
 public:
  // Over the user's directories (base/user_directories.h), made with mode 0700 when they are
  // missing. kPermission when one of them is another user's or open to others.
  static Result<Registry> open();
  // `lock_limit`: how long an operation waits for another that makes, removes or renames a VM,
  // which takes milliseconds unless its process was stopped.
  Registry(std::filesystem::path state, std::filesystem::path runtime,
           std::chrono::milliseconds lock_limit = std::chrono::seconds(5))
      : state_(std::move(state)), runtime_(std::move(runtime)), lock_limit_(lock_limit) {}

  // Whether create() could use the name now; its error otherwise.
  Result<> check_free(const std::string& name) const;

  // Makes a VM that is not started yet; an empty name stands for an invented one. Its disk has
  // `disk_bytes`; none is made for 0. `policy` is the text of its network's. kInvalid for a name
  // that cannot be, or is taken.
  Result<ClaimedVm> create(std::string name, api::Start start, std::uint64_t disk_bytes = 0,
                           const std::string& policy = {}) const;

  // Gives a VM another policy, for its next start. kNotFound when there is none of that name.
  Result<> set_policy(const std::string& name, const std::string& policy) const;
  // The text of the one that it has. Errors as above.
  Result<std::string> policy(const std::string& name) const;

  // Takes a stopped one to start it. kNotFound when there is none of that name, kInvalid when it
  // runs or is being copied. One whose disk cannot be used is recorded as failed, with the reason.
  Result<ClaimedVm> claim(const std::string& name) const;

  // Makes a stopped VM called `to` with all that a stopped one has on its disk. Errors as claim()
  // and create() have them.
  Result<> fork(const std::string& name, const std::string& to) const;

  // All of them, by name.
  Result<std::vector<NamedVm>> list() const;

  // One of them. kNotFound as above.
  Result<NamedVm> find(const std::string& name) const;

  // Its record. Errors as above, and of a record that is damaged.
  Result<api::VmRecord> record(const std::string& name) const;

  // A connection to its monitor. kNotFound as above, kClosed when it does not run.
  Result<Fd> connect(const std::string& name) const;

  // Kills its monitor, which has to have said at its socket who it is, and with it the VM. For one
  // that does not answer. Errors as connect() has them.
  Result<> kill_monitor(const std::string& name) const;

  // Waits until its monitor has gone; false when that takes longer than `limit`.
  Result<bool> wait_for_end(const std::string& name, std::chrono::milliseconds limit) const;

  // Removes a stopped one with all that it has on disk. kNotFound and kInvalid as in claim().
  Result<> remove(const std::string& name) const;

  // Gives a stopped one another name. kNotFound and kInvalid as in claim(); kInvalid too when the
  // name cannot be or is taken.
  Result<> rename(const std::string& name, const std::string& to) const;

  // Where its state lies, whether it is there or not.
  std::filesystem::path state_directory(const std::string& name) const { return state_ / name; }

  // What was put right since the last call, a line each.
  std::vector<std::string> take_notes() const { return std::exchange(notes_, {}); }

 private:
  class NewVm;
  // Before the name of a VM that is being removed, or made; they begin with a dot, as no VM does.
  static constexpr const char* kRemoved = ".removed-";
  static constexpr const char* kNew = ".new-";
  // In the directory of one that is being made: locked as long as somebody is at it.
  static constexpr const char* kNewLock = "making";

  Result<Fd> lock_all() const;
  Result<> check_there(const std::string& name) const;
  Result<std::array<Fd, api::kNamedFds>> take_files(const std::string& name,
                                                    const std::filesystem::path& directory) const;
  // Ends what killed processes left, which costs room and nothing else where it cannot be removed.
  // Under lock_all().
  void remove_leftovers() const;
  // Under lock_all(): a directory for a VM called `name`, which keep() makes that VM.
  Result<NewVm> make_new(const std::string& name) const;
  Result<> keep(NewVm made, const std::string& name, const api::VmRecord& record) const;
  Result<api::VmRecord> settled_record(const std::string& name, bool running) const;

  std::filesystem::path state_;
  std::filesystem::path runtime_;
  std::chrono::milliseconds lock_limit_;
  mutable std::vector<std::string> notes_;
};

// The monitor of a VM with a name.
class NamedMonitor final : public MonitorLink {
 public:
  // `registry` must outlive this.
  NamedMonitor(const Registry& registry, std::string name)
      : registry_(registry), name_(std::move(name)) {}

  Result<Fd> connect() override { return registry_.connect(name_); }
  std::string end_in_words() override;

 private:
  const Registry& registry_;
  std::string name_;
};

}  // namespace capsem::client
