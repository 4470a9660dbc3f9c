// The monitor of a VM that lives no longer than this process: a child, held by its lease
// (api/lease.h).
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <string>

#include "api/types.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"

namespace capsem::client {

class OwnedMonitor {
 public:
  // Starts `executable` as a monitor, in a session of its own: keys of the terminal do not reach
  // it.
  static Result<OwnedMonitor> start(const std::filesystem::path& executable);

  // Hands over what it is to run; the descriptors stay the caller's.
  Result<> start_vm(const api::Start& start, const Fd& kernel, const Fd& initrd, const Fd& rootfs);

  // A new connection to it.
  Result<Fd> connect();

  // Gives the lease up, which ends the VM, and waits for the monitor's end; kills it after `limit`.
  // Not an error once end_in_words() has told of it.
  Result<> end(std::chrono::milliseconds limit);

  // Why it is no longer there, when it ended without being asked: its status, and the last line it
  // wrote to stderr.
  std::string end_in_words();

 private:
  OwnedMonitor(Process process, Fd lease, Fd errors)
      : process_(std::move(process)), lease_(std::move(lease)), errors_(std::move(errors)) {}

  Process process_;
  Fd lease_;
  bool end_told_ = false;  // by end_in_words()
  Fd errors_;              // what it writes to stderr: nothing, unless it crashes
};

}  // namespace capsem::client
