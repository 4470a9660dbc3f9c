#include "host/monitor.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "async/latch.h"
#include "base/text.h"
#include "host/control.h"
#include "vm/panic.h"
#include "vm/qemu.h"
#include "vsock/device.h"
#include "wire/console.h"
#include "wire/ports.h"

namespace capsem::host {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kStepPrefix = wire::kStepPrefix;
constexpr std::string_view kFailurePrefix = wire::kFailurePrefix;
constexpr vsock::Quota kControlQuota{.connections = 8, .receive_buffer_bytes = 256 * 1024};
constexpr std::chrono::seconds kHeartbeatCheck{10};
constexpr std::chrono::seconds kSilence{60};

}  // namespace

struct Monitor::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor on, MonitorOptions with, vm::Qemu machine)
      : executor(std::move(on)),
        options(std::move(with)),
        qemu(std::move(machine)),
        booted(executor) {}

  asio::any_io_executor executor;
  MonitorOptions options;
  std::optional<vm::Qemu> qemu;
  std::unique_ptr<vsock::Device> device;

  async::Latch booted;  // set with the outcome of the boot
  std::optional<Result<wire::Hello>> outcome;
  std::string step = "before the kernel's first line";
  std::string failure;          // what the guest said of its end
  std::string device_end;       // why the vsock device ended before QEMU did
  std::string shutdown_reason;  // QEMU's word for how the guest ended the machine
  Clock::time_point last_heard = Clock::now();
  bool ending = false;

  Result<> start();
  void settle(Result<wire::Hello> result);
  void read_console_line(std::string_view line);
  void read_event(std::string_view event, const nlohmann::json& data);
  void serve(std::unique_ptr<async::Stream> stream);
  Task<> watch_qemu();
  Task<> connect_qmp();
  Task<> watch_heartbeat();
  Task<> serve_connection(std::unique_ptr<async::Stream> stream);
  void report(const std::string& line) {
    if (options.on_event) options.on_event(line);
  }
};

Result<> Monitor::State::start() {
  qemu->console().on_line([this](std::string_view line) { read_console_line(line); });
  qemu->qmp().on_event(
      [this](std::string_view event, const nlohmann::json& data) { read_event(event, data); });
  vsock::DeviceOptions device_options;
  device_options.on_broken_ring = [this](const Error& error) { report(error.message()); };
  device_options.on_refused = [this](const Error& error) { report(error.message()); };
  device_options.on_end = [this](const Error& error) {
    if (error.kind() == ErrorKind::kClosed) return;  // watch_qemu() tells how QEMU ended
    device_end = error.message();
    settle(std::unexpected(Error(error).wrapped("boot", "the guest")));
  };
  auto created =
      vsock::Device::create(executor, qemu->take_vsock_socket(), std::move(device_options));
  if (!created) return propagate(created);
  device = std::move(*created);
  auto listening =
      device->listen(wire::kControlPort.number, kControlQuota,
                     [this](std::unique_ptr<async::Stream> stream) { serve(std::move(stream)); });
  if (!listening) return listening;
  auto self = shared_from_this();
  asio::co_spawn(executor, [self] { return self->watch_qemu(); }, asio::detached);
  asio::co_spawn(executor, [self] { return self->connect_qmp(); }, asio::detached);
  return {};
}

void Monitor::State::settle(Result<wire::Hello> result) {
  if (outcome) return;
  outcome = std::move(result);
  booted.set();
}

void Monitor::State::read_console_line(std::string_view line) {
  // Once the guest has booted anyone in it may write to the console.
  if (line.starts_with(kFailurePrefix) && !outcome) {
    failure = line.substr(kFailurePrefix.size());
    settle(fail("boot", "the guest", failure));
  } else if (auto panic = vm::panic_reason(line); panic && failure.empty()) {
    failure = "its kernel panicked: " + std::string(*panic);
    settle(fail("boot", "the guest", failure));
  } else if (line.starts_with(kStepPrefix)) {
    step = "in the init's step '" + std::string(line.substr(kStepPrefix.size())) + "'";
  } else if (!outcome && step.starts_with("before")) {
    step = "in the kernel";
  }
}

void Monitor::State::read_event(std::string_view event, const nlohmann::json& data) {
  if (event == "SHUTDOWN" && data.is_object()) shutdown_reason = data.value("reason", "");
}

Task<> Monitor::State::watch_qemu() {
  auto self = shared_from_this();
  auto status = co_await qemu->wait();
  if (ending) co_return;
  if (!status) {
    settle(propagate(status));
  } else if (!failure.empty()) {
    settle(fail("boot", "the guest", failure));
  } else if (status->success()) {
    settle(fail("boot", "the guest", "it switched itself off " + step));
  } else {
    failure = "QEMU " + qemu->end_in_words(*status);
    settle(std::unexpected(qemu->failure(*status)));
  }
}

Task<> Monitor::State::connect_qmp() {
  auto self = shared_from_this();
  auto connected = co_await qemu->connect();
  if (!connected && !ending) settle(propagate(connected));
}

void Monitor::State::serve(std::unique_ptr<async::Stream> stream) {
  auto self = shared_from_this();
  // One control connection at a time: PID 1's. Another process of the guest is turned away.
  device->stop_listening(wire::kControlPort.number);
  asio::co_spawn(
      executor,
      [self, held = std::move(stream)]() mutable {
        return self->serve_connection(std::move(held));
      },
      asio::detached);
}

Task<> Monitor::State::serve_connection(std::unique_ptr<async::Stream> stream) {
  auto self = shared_from_this();
  ControlHandlers handlers;
  handlers.on_hello = [this](wire::Hello hello) {
    last_heard = Clock::now();
    settle(std::move(hello));
    auto held = shared_from_this();
    asio::co_spawn(executor, [held] { return held->watch_heartbeat(); }, asio::detached);
  };
  handlers.on_heartbeat = [this](const wire::Heartbeat&) { last_heard = Clock::now(); };
  handlers.on_failure = [this](const wire::Failure& said) { failure = printable(said.text); };
  handlers.on_service_event = [this](const wire::ServiceEvent& event) {
    report("in the guest: " + printable(event.name) + ": " + printable(event.text));
  };
  wire::Configuration configuration{.hostname = options.hostname, .environment = {}};
  auto served = co_await serve_control(*stream, std::move(configuration), std::move(handlers));
  if (ending) co_return;
  if (!served && !outcome)
    settle(propagate(served));
  else if (!served && served.error().kind() == ErrorKind::kInvalid)
    report(served.error().message());
}

Task<> Monitor::State::watch_heartbeat() {
  auto self = shared_from_this();
  asio::steady_timer timer(executor);
  bool told = false;
  while (!ending) {
    timer.expires_after(kHeartbeatCheck);
    co_await timer.async_wait(asio::use_awaitable);
    auto silence = Clock::now() - last_heard;
    if (silence < kSilence) told = false;
    if (silence < kSilence || told || ending) continue;
    told = true;
    report("the guest was not heard of for " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(silence).count()) +
           " s; it may hang");
  }
}

Monitor::Monitor(std::shared_ptr<State> state) : state_(std::move(state)) {}
Monitor::Monitor(Monitor&&) noexcept = default;
Monitor::~Monitor() {
  if (!state_) return;
  state_->ending = true;
  state_->qemu.reset();
}

Result<Monitor> Monitor::start(const asio::any_io_executor& executor, MonitorOptions options) {
  auto qemu = vm::Qemu::start(executor, options.machine);
  if (!qemu) return propagate(qemu);
  auto state = std::make_shared<State>(executor, std::move(options), std::move(*qemu));
  if (auto started = state->start(); !started) return propagate(started);
  return Monitor(std::move(state));
}

Task<Result<wire::Hello>> Monitor::boot() {
  auto state = state_;
  bool settled = co_await state->booted.wait(state->options.boot_limit);
  if (!settled)
    co_return fail("boot", "the guest",
                   "it did not report within " +
                       std::to_string(state->options.boot_limit.count() / 1000) + " s; it stood " +
                       state->step,
                   "give it longer with --boot-limit", ErrorKind::kTimeout);
  co_return *state->outcome;
}

Task<Result<std::unique_ptr<async::Stream>>> Monitor::open_session() {
  auto state = state_;
  auto stream = co_await state->device->connect(wire::kSessionPort.number);
  if (!stream) co_return propagate(stream, "open a session in", "the guest");
  co_return std::move(*stream);
}

std::vector<std::string> Monitor::console_tail(std::size_t lines) const {
  return state_->qemu->console().last_lines(lines);
}

Task<Monitor::Ended> Monitor::ended_by_itself(std::chrono::milliseconds limit) {
  auto state = state_;
  auto status = co_await state->qemu->wait_for(limit);
  Ended ended;
  // Without its device the guest is out of reach, whether QEMU still runs or not.
  if (status && !*status && state->device_end.empty()) co_return ended;
  // A panic ends the machine by a reset too; the console tells of it.
  bool failed = !state->failure.empty() || !state->device_end.empty();
  ended.how = End::kFailed;
  if (!failed && state->shutdown_reason == "guest-shutdown") ended.how = End::kPoweredOff;
  if (!failed && state->shutdown_reason == "guest-reset") ended.how = End::kRebooted;
  if (ended.how != End::kFailed) co_return ended;
  ended.reason = state->failure;
  if (ended.reason.empty()) ended.reason = state->device_end;
  if (ended.reason.empty() && status) ended.reason = "QEMU " + state->qemu->end_in_words(**status);
  co_return ended;
}

Task<Result<>> Monitor::end() {
  auto state = state_;
  state->ending = true;
  auto status = co_await state->qemu->end();
  if (!status) co_return propagate(status);
  co_return Result<>{};
}

}  // namespace capsem::host
