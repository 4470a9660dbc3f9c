#include "host/monitor.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "api/json.h"
#include "async/limit.h"
#include "base/fd.h"
#include "base/text.h"
#include "host/control.h"
#include "host/services.h"
#include "wire/codec.h"
#include "wire/ports.h"

namespace capsem::host {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kConsoleLines = 20;

// PID 1 has it; another process of the guest is refused.
constexpr Quota kControlQuota{.connections = 1, .receive_buffer_bytes = 64 << 10};

std::uint64_t now_us() {
  auto since = Clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

}  // namespace

Monitor::Monitor(const asio::any_io_executor& executor, std::unique_ptr<Machine> machine,
                 MonitorOptions options)
    : executor_(executor),
      options_(std::move(options)),
      events_(executor),
      reached_{async::Latch(executor), async::Latch(executor), async::Latch(executor),
               async::Latch(executor)},
      force_timer_(executor),
      lifecycle_(executor,
                 {.end = [this](wire::ShutdownAction action,
                                std::chrono::milliseconds grace) { end_for_guest(action, grace); },
                  .tell =
                      [this](std::string text) {
                        events_.publish_for_guest(api::EventKind::kWarning, std::move(text));
                      }}),
      network_(executor, std::move(options_.network),
               options_.audit != nullptr ? *options_.audit : no_audit_,
               [this](const net::Denial& denial) {
                 events_.publish_for_guest(api::EventKind::kDenied, denial.text());
               }),
      machine_(std::move(machine)),
      tasks_(executor) {
  vm_.environment = network_.variables();
}

void Monitor::change_policy(net::Policy policy) {
  network_.change(std::move(policy));
  vm_.environment = network_.variables();
}

// ---- the states

Task<> Monitor::run(Settle settle) {
  enter(api::State::kStarting);
  auto started = co_await start_machine();
  if (started) {
    tasks_.spawn(watch_machine());
    tasks_.spawn(watch_boot());
    tasks_.spawn(lifecycle_.run());
    tasks_.spawn(network_.prepare());
    co_await end_wanted_.wait();
  } else {
    watch_.exited(started);
  }
  network_.stop();
  // Also after a failed start, which may have begun something, and an end that was its own.
  auto gone = co_await machine_->end();
  if (!gone) on_warning(gone.error());
  tasks_.cancel();
  vm_.end = watch_.end();
  if (started && vm_.end->error && !watch_.booted())
    vm_.end->error = machine_->explain_failed_boot(std::move(*vm_.end->error));
  // What they have to write down comes before what settles that.
  std::exception_ptr thrown;
  try {
    co_await tasks_.join();
  } catch (...) {
    thrown = std::current_exception();
  }
  if (settle) co_await settle(*vm_.end);
  enter(api::State::kEnded);
  if (thrown) std::rethrow_exception(thrown);
}

Task<Result<>> Monitor::start_machine() {
  auto started = co_await machine_->start(*this);
  if (!started) co_return started;
  started_us_ = now_us();
  const std::array services = {
      Service{.port = wire::kControlPort,
              .quota = kControlQuota,
              .serve =
                  [this](std::unique_ptr<async::Stream> stream) {
                    return serve_control(std::move(stream));
                  }},
      Service{.port = wire::kLifecyclePort,
              .quota = Lifecycle::kQuota,
              .callers = Callers::kRoot,
              .serve =
                  [this](std::unique_ptr<async::Stream> stream) {
                    return lifecycle_.serve(std::move(stream));
                  }},
      Service{.port = wire::kNetPort,
              .quota = net::GuestNetwork::kFlowQuota,
              .serve =
                  [this](std::unique_ptr<async::Stream> stream) {
                    return network_.serve_flow(std::move(stream));
                  }},
      Service{.port = wire::kDnsPort,
              .quota = net::GuestNetwork::kDnsQuota,
              .serve =
                  [this](std::unique_ptr<async::Stream> stream) {
                    return network_.serve_dns(std::move(stream));
                  }},
  };
  co_return listen_for(services, *machine_, tasks_);
}

void Monitor::enter(api::State state) {
  if (state < vm_.state) return;
  vm_.state = state;
  events_.publish(api::EventKind::kState, std::string(api::name(state)));
  for (std::size_t i = 0; i <= static_cast<std::size_t>(state); ++i) reached_.at(i).set();
}

Task<> Monitor::reached(api::State state) {
  auto latch = reached_.at(static_cast<std::size_t>(state));
  co_await latch.wait();
}

void Monitor::stop() {
  if (vm_.state == api::State::kEnded) return;
  watch_.stopped();
  if (vm_.state < api::State::kStopping) enter(api::State::kStopping);
  end_wanted_.notify();
}

void Monitor::shut_down(std::chrono::milliseconds grace) {
  // Before its hello there is nobody in the guest to ask, and nothing to lose.
  if (!watch_.booted()) return stop();
  if (vm_.state == api::State::kEnded) return;
  watch_.stopped();
  begin_shutdown(wire::ShutdownAction::kPoweroff, grace);
}

void Monitor::end_for_guest(wire::ShutdownAction action, std::chrono::milliseconds grace) {
  if (vm_.state == api::State::kEnded) return;
  bool reboots = action == wire::ShutdownAction::kReboot;
  if (!shutdown_)
    watch_.asked_to_end(reboots ? api::EndKind::kRebooted : api::EndKind::kPoweredOff);
  begin_shutdown(action, grace);
}

void Monitor::begin_shutdown(wire::ShutdownAction action, std::chrono::milliseconds grace) {
  // A VM that has failed is about to be ended by force.
  if (watch_.failure()) return;
  auto end = Clock::now() + grace;
  if (shutdown_ && grace_end_ <= end) return;
  bool first = !shutdown_;
  if (first) shutdown_ = action;
  grace_end_ = end;
  if (vm_.state < api::State::kStopping) enter(api::State::kStopping);
  force_timer_.expires_at(end + options_.shutdown_limit);
  if (first) tasks_.spawn(end_by_force());
  tell_shutdown();
}

void Monitor::tell_shutdown() {
  if (!control_ || !shutdown_ || std::exchange(control_->sending, true)) return;
  tasks_.spawn(send_shutdown(control_));
}

// A stream takes one write at a time: an end that became an earlier one meanwhile follows.
Task<> Monitor::send_shutdown(std::shared_ptr<Control> control) {
  std::optional<Clock::time_point> sent_end;
  while (sent_end != grace_end_) {
    sent_end = grace_end_;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(grace_end_ - Clock::now());
    auto frame = wire::encode<wire::HostControl>(wire::Shutdown{
        .action = *shutdown_,
        .grace_ms = static_cast<std::uint32_t>(std::max<std::int64_t>(left.count(), 0))});
    if (!frame) co_return on_warning(frame.error());
    auto sent = co_await control->stream->write_all(as_bytes(*frame));
    if (!sent) co_return;  // to be told on PID 1's next connection, or ended by force
  }
  control->sending = false;
}

Task<> Monitor::end_by_force() {
  while (Clock::now() < force_timer_.expiry()) {
    boost::system::error_code earlier;
    co_await force_timer_.async_wait(asio::redirect_error(asio::use_awaitable, earlier));
  }
  end_wanted_.notify();
}

// A VM that has failed is of no more use.
void Monitor::end_on_failure() {
  if (!watch_.failure() || vm_.state >= api::State::kStopping) return;
  console_at_failure_ = machine_->console_tail(kConsoleLines);
  enter(api::State::kStopping);
  end_wanted_.notify();
}

Task<> Monitor::watch_machine() {
  // Also when an exception elsewhere ends the group.
  struct EndWanted {
    async::Event& event;
    ~EndWanted() { event.notify(); }
  } wanted{end_wanted_};
  auto ended = co_await machine_->wait();
  watch_.exited(ended);
}

Task<Result<>> Monitor::booted() {
  co_await reached(api::State::kRunning);
  if (vm_.state == api::State::kRunning) co_return Result<>();
  co_await reached(api::State::kEnded);
  if (vm_.end->error) co_return std::unexpected(*vm_.end->error);
  co_return fail("use", "the VM", "it has ended", "", ErrorKind::kClosed);
}

Task<Result<std::unique_ptr<async::Stream>>> Monitor::open(const wire::Port& port,
                                                           std::string_view what) {
  auto ready = co_await booted();
  if (!ready) co_return propagate(ready);
  auto connected =
      co_await async::with_limit(options_.connect_limit, machine_->connect(port.number));
  auto attempt = "open " + std::string(what) + " in";
  if (!connected)
    co_return fail(std::move(attempt), "the guest", "its agent does not answer",
                   "start the VM again", ErrorKind::kTimeout);
  if (!*connected) co_return propagate(*connected, std::move(attempt), "the guest");
  co_return std::move(**connected);
}

api::Failure Monitor::failure(Error error) const {
  bool console_says_more = error.kind() == ErrorKind::kTimeout;
  return {.error = std::move(error),
          .console = console_says_more ? console_at_failure_ : std::vector<std::string>()};
}

// ---- what is watched

Task<> Monitor::watch_boot() {
  auto latch = reached_.at(static_cast<std::size_t>(api::State::kRunning));
  bool decided = co_await latch.wait(options_.boot_limit);
  if (!decided) {
    watch_.timed_out(options_.boot_limit);
    end_on_failure();
  } else if (watch_.booted()) {
    co_await watch_heartbeat();
  }
}

Task<> Monitor::watch_heartbeat() {
  asio::steady_timer timer(executor_);
  bool told = false;
  for (;;) {
    timer.expires_after(options_.heartbeat_check);
    co_await timer.async_wait(asio::use_awaitable);
    auto now = Clock::now();
    // It was us who were stopped: what the guest said meanwhile is still to be read.
    if (now - timer.expiry() > options_.heartbeat_check) continue;
    if (disk_full_) continue;
    auto silence = now - last_heard_;
    if (silence < options_.silence) told = false;
    if (silence < options_.silence || told) continue;
    told = true;
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silence);
    events_.publish(
        api::EventKind::kWarning,
        "the guest was not heard of for " + std::to_string(seconds.count()) + " s; it may hang");
  }
}

void Monitor::on_accelerator(const api::Accelerator& accelerator) {
  vm_.accelerator = accelerator;
  // Told once, when it is found: a remembered verdict is no news.
  if (accelerator.fresh && !accelerator.reason.empty())
    events_.publish(api::EventKind::kWarning, accelerator.reason);
}

void Monitor::on_span(const api::Span& span) {
  vm_.timeline.push_back(span);
}

void Monitor::on_console_line(std::string_view line) {
  if (options_.on_console_line) options_.on_console_line(line);
  watch_.console_line(line);
  end_on_failure();
}

void Monitor::on_panic() {
  watch_.panicked();
}

void Monitor::on_shutdown(std::string_view reason) {
  watch_.shut_down(reason);
}

void Monitor::on_device_end(const Error& error) {
  watch_.device_ended(error);
  end_on_failure();
}

void Monitor::on_warning(const Error& error) {
  events_.publish_for_guest(api::EventKind::kWarning, error.message());
}

void Monitor::on_disk_full(bool full) {
  disk_full_ = full;
  last_heard_ = Clock::now();
  events_.publish_for_guest(
      api::EventKind::kWarning,
      full ? "the host's disk is full; the VM waits until there is room for what it writes, and "
             "then goes on"
           : "there is room on the host's disk again; the VM goes on");
}

// ---- the control connection

void Monitor::take_hello(wire::Hello hello) {
  last_heard_ = Clock::now();
  network_.token().set(std::move(hello.net_token));
  if (watch_.booted()) {  // PID 1 connected again, as it does after a deploy
    vm_.guest->entries = std::move(hello.entries);
    return;
  }
  watch_.hello();
  api::Guest guest{.steps = {},
                   .entries = std::move(hello.entries),
                   .kernel_release = printable(hello.kernel_release),
                   .uptime_us = hello.uptime_us,
                   .started_us = started_us_,
                   .arrived_us = now_us()};
  for (auto& step : hello.steps)
    guest.steps.push_back({std::move(step.name), step.start_us, step.duration_us});
  vm_.guest = std::move(guest);
}

// The first one says that the guest is configured: only then is it ready for sessions.
void Monitor::take_heartbeat() {
  last_heard_ = Clock::now();
  if (watch_.booted()) enter(api::State::kRunning);
}

Task<> Monitor::serve_control(std::unique_ptr<async::Stream> stream) {
  auto control = std::make_shared<Control>(std::move(stream));
  ControlHandlers handlers;
  handlers.on_hello = [this, control](wire::Hello hello) {
    take_hello(std::move(hello));
    control_ = control;
    tell_shutdown();  // the request may have been lost with the connection before
  };
  handlers.on_heartbeat = [this](const wire::Heartbeat&) { take_heartbeat(); };
  handlers.on_failure = [this](const wire::Failure& said) {
    watch_.guest_failed(printable(said.text));
  };
  handlers.on_service_event = [this](const wire::ServiceEvent& event) {
    events_.publish_for_guest(api::EventKind::kService, "in the guest: " + printable(event.name) +
                                                            ": " + printable(event.text));
  };
  auto authority = co_await network_.certificate();
  if (!authority) on_warning(authority.error());
  wire::Configuration configuration{.hostname = options_.hostname,
                                    .authority = authority ? std::move(*authority) : ""};
  auto served =
      co_await host::serve_control(*control->stream, std::move(configuration), std::move(handlers));
  control->stream->reset();
  if (control_ == control) control_.reset();
  if (served || vm_.state >= api::State::kStopping) co_return;
  if (watch_.booted() && served.error().kind() == ErrorKind::kInvalid) on_warning(served.error());
  watch_.control_failed(served.error());
  end_on_failure();
}

}  // namespace capsem::host
