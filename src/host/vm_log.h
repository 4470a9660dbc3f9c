// Writes the log of a VM with a name (api/vm_log.h). What is added waits in memory, and is written
// beside the event loop; of a guest that says more than the disk takes, lines are left out and
// counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/types.h"
#include "async/event.h"
#include "async/offload.h"
#include "async/task.h"
#include "base/error.h"
#include "host/events.h"

namespace capsem::host {

class VmLog {
 public:
  static constexpr std::size_t kMaxWaitingBytes = 256 << 10;

  // In `directory`, the VM's state; `limit_bytes` is that of one file.
  explicit VmLog(std::string directory, std::uint64_t limit_bytes);

  // Adds a line that is safe to print.
  void add(std::string_view kind, std::string_view text);

  // Writes what is added until it is cancelled. What cannot be written is dropped.
  Task<> run();

  // Adds what happens to the VM until it is cancelled.
  Task<> follow(Events& events);

  // Writes what still waits; once run() has ended.
  Task<> finish();

 private:
  Task<> write();

  std::string directory_;
  std::uint64_t limit_bytes_;
  std::string waiting_;
  std::size_t left_out_ = 0;
  async::Event added_;
  async::Offload disk_;
};

}  // namespace capsem::host
