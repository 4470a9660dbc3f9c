// The host process of one VM: QEMU, the vsock device, and the services on its ports.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "vm/machine.h"
#include "wire/messages.h"

namespace capsem::host {

struct MonitorOptions {
  vm::Machine machine;  // its descriptors are borrowed until start() returns
  std::chrono::milliseconds boot_limit{60'000};
  std::string hostname = "capsem";
  // One line about something the user should know of, such as a service that ended.
  std::function<void(const std::string& line)> on_event;
};

class Monitor {
 public:
  // Starts the VM. kNotFound when there is no QEMU.
  static Result<Monitor> start(const boost::asio::any_io_executor& executor,
                               MonitorOptions options);
  Monitor(Monitor&&) noexcept;
  Monitor& operator=(Monitor&&) = delete;
  // Kills the VM.
  ~Monitor();

  // Waits until the guest has booted, which its hello says. An error when it reports a failure,
  // when QEMU ends, when the guest speaks another version of the protocol, and kTimeout, with the
  // step where the boot stood, after the limit of the options.
  Task<Result<wire::Hello>> boot();

  // A connection to the session agent; the guest must have booted.
  Task<Result<std::unique_ptr<async::Stream>>> open_session();

  // The last lines of the guest's console, safe to print.
  std::vector<std::string> console_tail(std::size_t lines) const;

  // How the VM came to its end, when it did so within `limit` and by itself.
  enum class End { kRunning, kPoweredOff, kRebooted, kFailed };
  struct Ended {
    End how = End::kRunning;
    std::string reason;  // kFailed: in one line
  };
  Task<Ended> ended_by_itself(std::chrono::milliseconds limit);

  // Ends the VM, whatever it does. The guest keeps nothing, so it is not asked to shut down.
  Task<Result<>> end();

 private:
  struct State;
  explicit Monitor(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace capsem::host
