// The VM under a monitor, as the monitor sees it: QEMU and the vsock device behind an interface, so
// that tests drive a monitor without either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/types.h"
#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "vsock/device.h"

namespace capsem::host {

// Told, on the event loop, what happens to a machine from its start on.
class MachineObserver {
 public:
  virtual void on_accelerator(const api::Accelerator& accelerator) = 0;
  virtual void on_span(const api::Span& span) = 0;  // something the start did
  // A line of the guest's console, safe to print. Once the guest has booted anyone in it writes
  // there.
  virtual void on_console_line(std::string_view line) = 0;
  virtual void on_panic() = 0;  // the guest's kernel, by QEMU's word
  virtual void on_shutdown(
      std::string_view reason) = 0;                    // QEMU's ShutdownCause (qapi/run-state.json)
  virtual void on_device_end(const Error& error) = 0;  // the vsock device serves no more
  virtual void on_warning(const Error& error) = 0;
  // The machine is stopped until the host has room for what it writes to its disk; or goes on.
  virtual void on_disk_full(bool full) = 0;

 protected:
  ~MachineObserver() = default;
};

using vsock::Callers;
using vsock::Quota;

class Machine {
 public:
  using Acceptor = std::move_only_function<void(std::unique_ptr<async::Stream>)>;

  virtual ~Machine() = default;

  // Finds an accelerator and starts the guest; `observer` must outlive the machine.
  virtual Task<Result<>> start(MachineObserver& observer) = 0;

  // Waits for its end; the error says how it ended other than as the guest or we asked.
  virtual Task<Result<>> wait() = 0;

  // Ends it, whatever it does; returns when nothing of it runs any more. wait() returns too.
  virtual Task<Result<>> end() = 0;

  // Calls `acceptor` for each connection that `callers` in the guest make to `port` of the host,
  // within the quota.
  virtual Result<> listen(std::uint32_t port, const Quota& quota, Callers callers,
                          Acceptor acceptor) = 0;

  // Connects to a port of the guest. kClosed when nothing listens there.
  virtual Task<Result<std::unique_ptr<async::Stream>>> connect(std::uint32_t port) = 0;

  // The error of a boot that failed, with what the machine knows of its cause. Asked once.
  virtual Error explain_failed_boot(Error error) = 0;

  // The last lines of the guest's console, oldest first, safe to print.
  virtual std::vector<std::string> console_tail(std::size_t lines) = 0;
};

}  // namespace capsem::host
