// The life of one VM: started, run, stopped and ended, with who waits for each, the services on its
// ports, and what is told of it.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types.h"
#include "async/event.h"
#include "async/latch.h"
#include "async/stream.h"
#include "async/task.h"
#include "async/task_group.h"
#include "base/error.h"
#include "host/boot_watch.h"
#include "host/events.h"
#include "host/lifecycle/lifecycle.h"
#include "host/machine.h"
#include "host/net/guest_network.h"
#include "wire/messages.h"
#include "wire/ports.h"

namespace capsem::host {

struct MonitorOptions {
  std::chrono::milliseconds boot_limit{60'000};
  // How often a guest that has booted is looked after, and how long it may say nothing.
  std::chrono::milliseconds heartbeat_check{10'000};
  std::chrono::milliseconds silence{60'000};
  // What a guest that was asked to shut down may take beyond its grace: to kill what is left, to
  // write back, and to switch itself off.
  std::chrono::milliseconds shutdown_limit{10'000};
  // An agent that does not accept for so long while the guest is well is one that keeps crashing.
  std::chrono::milliseconds connect_limit{30'000};
  std::string hostname = "capsem";
  net::GuestNetwork::Options network;
  // Where the network's doings are written down; outlives the monitor. None when it is null.
  audit::Sink* audit = nullptr;
  // Gets each line of the guest's console, safe to print.
  std::function<void(std::string_view line)> on_console_line;
};

class Monitor final : private MachineObserver {
 public:
  Monitor(const boost::asio::any_io_executor& executor, std::unique_ptr<Machine> machine,
          MonitorOptions options);
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  ~Monitor() = default;

  // What is to be done when nothing of the VM runs any more, before anyone is told of its end.
  using Settle = std::move_only_function<Task<>(const api::End&)>;

  // Starts the VM and serves it until it has ended and nothing of it runs any more. Once. Throws
  // what a part of it threw.
  Task<> run(Settle settle = nullptr);

  // Ends the VM at once, whatever it does; run() returns soon after.
  void stop();

  // Has the guest end the VM in order: its processes have `grace` to end by themselves. It is ended
  // by force when it has not booted yet, or has not ended `shutdown_limit` after the grace. Asked
  // again, the earlier end counts.
  void shut_down(std::chrono::milliseconds grace);

  // Waits until the VM is in `state` or a later one.
  Task<> reached(api::State state);

  // Waits until the guest has booted: an error when it does not, or has ended since.
  Task<Result<>> booted();

  // Waits for the boot and connects to a port of the guest for `what`, such as "a session".
  Task<Result<std::unique_ptr<async::Stream>>> open(const wire::Port& port, std::string_view what);

  const api::Vm& vm() const { return vm_; }
  Events& events() { return events_; }
  net::GuestNetwork& network() { return network_; }
  void change_policy(net::Policy policy);

  // An error of this VM as its clients are told of it, with the console's last lines where they say
  // more than it.
  api::Failure failure(Error error) const;

 private:
  // A control connection.
  struct Control {
    std::unique_ptr<async::Stream> stream;
    bool sending = false;  // a shutdown is being written
  };

  void on_accelerator(const api::Accelerator& accelerator) override;
  void on_span(const api::Span& span) override;
  void on_console_line(std::string_view line) override;
  void on_panic() override;
  void on_shutdown(std::string_view reason) override;
  void on_device_end(const Error& error) override;
  void on_warning(const Error& error) override;
  void on_disk_full(bool full) override;

  void enter(api::State state);
  void begin_shutdown(wire::ShutdownAction action, std::chrono::milliseconds grace);
  void end_for_guest(wire::ShutdownAction action, std::chrono::milliseconds grace);
  void tell_shutdown();
  Task<> send_shutdown(std::shared_ptr<Control> control);
  Task<> end_by_force();
  void end_on_failure();
  void take_hello(wire::Hello hello);
  void take_heartbeat();
  Task<Result<>> start_machine();
  Task<> serve_control(std::unique_ptr<async::Stream> stream);
  Task<> watch_boot();
  Task<> watch_heartbeat();
  Task<> watch_machine();

  boost::asio::any_io_executor executor_;
  MonitorOptions options_;
  BootWatch watch_;
  Events events_;
  api::Vm vm_;
  std::array<async::Latch, 4> reached_;  // by api::State
  async::Event end_wanted_;
  std::chrono::steady_clock::time_point last_heard_;
  bool disk_full_ = false;  // the guest is stopped, and cannot be heard of
  std::uint64_t started_us_ = 0;
  // What the guest was asked to do, with the time at which its grace is over.
  std::optional<wire::ShutdownAction> shutdown_;
  std::chrono::steady_clock::time_point grace_end_;
  boost::asio::steady_timer force_timer_;  // for what has not ended by then
  std::shared_ptr<Control> control_;       // the last on which PID 1 said hello, while it lasts
  Lifecycle lifecycle_;
  audit::NoSink no_audit_;
  net::GuestNetwork network_;
  std::vector<std::string> console_at_failure_;
  std::unique_ptr<Machine> machine_;
  async::TaskGroup tasks_;
};

}  // namespace capsem::host
