#include "host/run_monitor.h"

#include <malloc.h>
#include <signal.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "async/task_group.h"
#include "base/descriptor_limit.h"
#include "host/clients.h"
#include "host/lease.h"
#include "host/monitor.h"
#include "host/named_service.h"
#include "host/net/policy_text.h"
#include "host/qemu_machine.h"

namespace capsem::host {
namespace {

namespace asio = boost::asio;

constexpr int kOwnMappingBytes = 32 << 10;

Result<QemuMachineOptions> machine_options(Started& started) {
  QemuMachineOptions options;
  auto choice = vm::parse_accelerator(started.start.accelerator);
  if (!choice) return propagate(choice);
  options.accelerator.choice = *choice;
  options.accelerator.cache_directory = started.start.cache_directory;
  options.machine.memory_bytes = started.start.memory_bytes;
  options.machine.cpus = started.start.cpus;
  options.machine.kernel = &started.files.at(0);
  options.machine.initrd = &started.files.at(1);
  options.machine.rootfs = &started.files.at(2);
  options.disk = std::move(started.disk);
  // Without it the guest would take a disk that fails to appear for a VM that has none.
  if (started.start.disk) options.machine.command_line = "capsem.disk=" + started.start.disk->uuid;
  return options;
}

Result<net::Policy> read_policy(const Fd& file) {
  const std::string name = "the network's policy";
  std::string text(net::kPolicyTextLimitBytes, '\0');
  auto size = read_full(file, std::as_writable_bytes(std::span(text)), name);
  if (!size) return propagate(size);
  text.resize(*size);
  return net::Policy::parse(text, name);
}

// What the monitor throws ends the lease too: its clients would wait for it otherwise, whereas they
// know what to say of a monitor that is gone.
Task<> run_to_end(Monitor& monitor, Lease& lease) {
  try {
    co_await monitor.run();
  } catch (...) {
    lease.cancel();
    throw;
  }
}

// A VM that lives as long as its lease.
Task<> serve_leased(Monitor& monitor, Clients& clients, Lease& lease) {
  async::TaskGroup tasks(co_await asio::this_coro::executor);
  tasks.spawn(run_to_end(monitor, lease));
  // Also after the VM's end: how it ended is still to be told.
  co_await lease.take_clients(clients);
  monitor.stop();
  co_await tasks.join();
}

Task<Result<>> serve(asio::any_io_executor executor, Fd socket, const MakeMachine& make_machine) {
  Lease lease(executor, std::move(socket));
  auto started = co_await lease.start();
  if (!started) co_return propagate(started);
  auto options = machine_options(*started);
  if (!options) co_return propagate(options);
  auto policy = read_policy(started->files.at(3));
  if (!policy) co_return propagate(policy);
  MonitorOptions monitor_options{
      .boot_limit = std::chrono::milliseconds(started->start.boot_limit_ms),
      .hostname = started->start.hostname,
      .network = {.policy = std::move(*policy),
                  .name = started->start.hostname,
                  .trusted = {},
                  .resolver = {}}};
  std::unique_ptr<NamedService> named;
  if (!started->named.empty()) {
    auto vm = std::make_unique<NamedVm>(executor, std::move(started->named));
    auto created = NamedService::create(executor, vm);
    if (!created) {
      const api::End end{.kind = api::EndKind::kFailed, .error = created.error()};
      // The error itself goes to who started this process, while it listens.
      [[maybe_unused]] auto recorded = co_await vm->record_end(end);
      co_return propagate(created);
    }
    named = std::move(*created);
    monitor_options.audit = &named->net_log();
    monitor_options.on_console_line = [&to = *named](std::string_view line) {
      to.console_line(line);
    };
  }
  Monitor monitor(executor, make_machine(executor, std::move(*options)),
                  std::move(monitor_options));
  Clients clients(executor, monitor);
  std::exception_ptr thrown;
  try {
    if (named)
      co_await named->run(monitor, clients, lease);
    else
      co_await serve_leased(monitor, clients, lease);
  } catch (...) {
    thrown = std::current_exception();
  }
  // In either case, since they work on what goes with this function.
  co_await clients.end();
  if (thrown) std::rethrow_exception(thrown);
  co_return Result<>();
}

}  // namespace

Result<> run_monitor(Fd lease, const MakeMachine& make_machine) {
  // Buffers of connections go back to the system with them; by default the C library keeps them
  // once it has freed a large one (mallopt(3)).
  ::mallopt(M_MMAP_THRESHOLD, kOwnMappingBytes);
  ::signal(SIGPIPE, SIG_IGN);
  // Each connection of the guest takes one, and what the user asks has to find some left.
  raise_descriptor_limit();
  asio::io_context loop(1);
  std::optional<Result<>> result;
  asio::co_spawn(loop, serve(loop.get_executor(), std::move(lease), make_machine),
                 [&](const std::exception_ptr& thrown, Result<> value) {
                   if (thrown) std::rethrow_exception(thrown);
                   result = std::move(value);
                   loop.stop();
                 });
  loop.run();
  return std::move(*result);
}

}  // namespace capsem::host
