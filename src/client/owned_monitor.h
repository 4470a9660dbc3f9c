// A monitor that this process starts: a child, held by its lease (api/lease.h).
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>

#include "api/types.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "client/monitor_link.h"

namespace capsem::client {

class OwnedMonitor final : public MonitorLink {
 public:
  // Starts `executable` as a monitor, in a session of its own: keys of the terminal do not reach
  // it.
  static Result<OwnedMonitor> start(const std::filesystem::path& executable);

  // Hands over what it is to run: kernel, initrd, rootfs, and for a VM with a name those of
  // api::NamedFd; the descriptors stay the caller's.
  Result<> start_vm(const api::Start& start, std::span<const int> fds);

  // Lets the monitor of a VM with a name run on without us.
  void release();

  Result<Fd> connect() override;

  // Gives the lease up, which ends the VM, and waits for the monitor's end; kills it after `limit`.
  // Not an error once end_in_words() has told of it.
  Result<> end(std::chrono::milliseconds limit);

  // Its status, and the last line it wrote to stderr.
  std::string end_in_words() override;

 private:
  OwnedMonitor(Process process, Fd lease, Fd errors)
      : process_(std::move(process)), lease_(std::move(lease)), errors_(std::move(errors)) {}

  Process process_;
  Fd lease_;
  bool end_told_ = false;  // by end_in_words()
  Fd errors_;              // what it writes to stderr: nothing, unless it crashes
};

}  // namespace capsem::client
