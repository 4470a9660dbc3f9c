#include "host/qemu_machine.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "async/task_group.h"
#include "vm/qemu.h"
#include "vsock/device.h"

namespace capsem::host {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// QEMU answers at once, unless it is stopped itself.
constexpr std::chrono::seconds kAnswerLimit{60};

// From a write for which the host had no room to trying it again; and how long a machine has to go
// on without another one until there is room again.
constexpr std::chrono::milliseconds kRoomPause{1000};

std::uint64_t microseconds(Clock::time_point when) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count());
}

class QemuMachine final : public Machine {
 public:
  QemuMachine(const asio::any_io_executor& executor, QemuMachineOptions options)
      : executor_(executor), options_(std::move(options)), tasks_(executor) {}

  Task<Result<>> start(MachineObserver& observer) override;
  Task<Result<>> wait() override;
  Task<Result<>> end() override;
  Result<> listen(std::uint32_t port, const Quota& quota, Callers callers,
                  Acceptor acceptor) override;
  Task<Result<std::unique_ptr<async::Stream>>> connect(std::uint32_t port) override;
  Error explain_failed_boot(Error error) override;
  std::vector<std::string> console_tail(std::size_t lines) override;

 private:
  Result<> start_qemu(MachineObserver& observer);
  Task<> connect_qmp();
  Task<> find_why_stopped();
  void take_event(std::string_view event, const nlohmann::json& data);
  Task<> wait_for_room();

  asio::any_io_executor executor_;
  QemuMachineOptions options_;
  std::optional<Error> failure_;  // found by us; ends QEMU
  std::optional<vm::Qemu> qemu_;
  std::unique_ptr<vsock::Device> device_;
  MachineObserver* observer_ = nullptr;
  bool waits_for_room_ = false;  // wait_for_room() runs
  bool write_failed_ = false;    // since it let the machine go on
  async::TaskGroup tasks_;
};

Task<Result<>> QemuMachine::start(MachineObserver& observer) {
  auto begin = Clock::now();
  auto verdict = co_await vm::choose_accelerator(executor_, options_.accelerator);
  if (!verdict) co_return propagate(verdict);
  auto chosen = Clock::now();
  observer.on_accelerator(
      {.name = vm::name(verdict->accelerator), .reason = verdict->reason, .fresh = verdict->fresh});
  observer.on_span({"accelerator", microseconds(begin), microseconds(chosen)});
  options_.machine.accelerator = verdict->accelerator;
  auto started = start_qemu(observer);
  if (!started) co_return started;
  observer.on_span({"start QEMU", microseconds(chosen), microseconds(Clock::now())});
  tasks_.spawn(connect_qmp());
  co_return Result<>();
}

Result<> QemuMachine::start_qemu(MachineObserver& observer) {
  observer_ = &observer;
  if (options_.disk) options_.machine.disk = &options_.disk;
  auto qemu = vm::Qemu::start(executor_, options_.machine);
  if (!qemu) return propagate(qemu);
  qemu_.emplace(std::move(*qemu));
  options_.machine.disk = nullptr;
  options_.disk.reset();
  qemu_->console().on_line([&observer](std::string_view line) { observer.on_console_line(line); });
  qemu_->qmp().on_event(
      [this](std::string_view event, const nlohmann::json& data) { take_event(event, data); });
  vsock::DeviceOptions device_options;
  device_options.on_broken_ring = [&observer](const Error& error) { observer.on_warning(error); };
  device_options.on_refused = [&observer](const Error& error) { observer.on_warning(error); };
  device_options.on_stopped = [this] { tasks_.spawn(find_why_stopped()); };
  device_options.on_end = [&observer](const Error& error) {
    // QEMU hung up: how it ended is told by wait().
    if (error.kind() != ErrorKind::kClosed) observer.on_device_end(error);
  };
  auto device =
      vsock::Device::create(executor_, qemu_->take_vsock_socket(), std::move(device_options));
  if (!device) return propagate(device);
  device_ = std::move(*device);
  return {};
}

void QemuMachine::take_event(std::string_view event, const nlohmann::json& data) {
  auto word = [&data](const char* key) {
    auto found = data.is_object() ? data.find(key) : data.end();
    return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (event == "GUEST_PANICKED") observer_->on_panic();
  if (event == "SHUTDOWN")
    if (auto reason = word("reason"); !reason.empty()) observer_->on_shutdown(reason);
  // Stopped by what add_disk() of vm/arguments.cc says of a write.
  if (event == "BLOCK_IO_ERROR" && word("action") == "stop") {
    write_failed_ = true;
    if (!std::exchange(waits_for_room_, true)) tasks_.spawn(wait_for_room());
  }
}

// QEMU keeps what the guest wrote and tries that first.
Task<> QemuMachine::wait_for_room() {
  asio::steady_timer timer(executor_);
  observer_->on_disk_full(true);
  while (write_failed_) {
    timer.expires_after(kRoomPause);
    co_await timer.async_wait(asio::use_awaitable);
    write_failed_ = false;
    auto asked = qemu_->qmp().execute("cont", nlohmann::json::object(), kAnswerLimit);
    auto done = co_await std::move(asked);
    if (!done && done.error().kind() == ErrorKind::kClosed) co_return;  // QEMU has gone
    if (!done) write_failed_ = true;                                    // it is stopped still
    timer.expires_after(kRoomPause);
    co_await timer.async_wait(asio::use_awaitable);
  }
  waits_for_room_ = false;
  observer_->on_disk_full(false);
}

Task<> QemuMachine::connect_qmp() {
  auto connected = co_await qemu_->connect();
  if (connected) co_return;
  failure_ = std::move(connected).error();
  qemu_->kill();
}

// The rings of a guest whose processors are stopped go on with them; those of one that runs were
// stopped by its driver's end. QEMU takes the processors first, so its answer tells them apart.
Task<> QemuMachine::find_why_stopped() {
  auto asked = qemu_->qmp().execute("query-status", nlohmann::json::object(), kAnswerLimit);
  auto status = co_await std::move(asked);
  if (!status || !status->is_object()) co_return;
  // One that waits for room was stopped, and let go on since.
  if (waits_for_room_) co_return;
  if (status->value("running", false) && device_) device_->driver_left();
}

Task<Result<>> QemuMachine::wait() {
  auto status = co_await qemu_->wait();
  if (!status) co_return propagate(status);
  if (failure_) co_return std::unexpected(*failure_);
  if (status->success()) co_return Result<>();
  co_return std::unexpected(co_await qemu_->failure(*status));
}

Task<Result<>> QemuMachine::end() {
  if (!qemu_) co_return Result<>();
  auto status = co_await qemu_->end();
  tasks_.cancel();
  co_await tasks_.join();
  device_.reset();
  if (!status) co_return propagate(status);
  co_return Result<>();
}

Result<> QemuMachine::listen(std::uint32_t port, const Quota& quota, Callers callers,
                             Acceptor acceptor) {
  return device_->listen(port, quota, std::move(acceptor), callers);
}

Task<Result<std::unique_ptr<async::Stream>>> QemuMachine::connect(std::uint32_t port) {
  return device_->connect(port);
}

Error QemuMachine::explain_failed_boot(Error error) {
  if (options_.machine.accelerator != vm::Accelerator::kKvm) return error;
  return vm::after_kvm_failed(options_.accelerator.cache_directory, error);
}

std::vector<std::string> QemuMachine::console_tail(std::size_t lines) {
  return qemu_ ? qemu_->console().last_lines(lines) : std::vector<std::string>();
}

}  // namespace

std::unique_ptr<Machine> make_qemu_machine(const asio::any_io_executor& executor,
                                           QemuMachineOptions options) {
  return std::make_unique<QemuMachine>(executor, std::move(options));
}

}  // namespace capsem::host
