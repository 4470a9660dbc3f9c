#include "cli/trial_boot.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>

#include "async/task_group.h"
#include "host/monitor.h"
#include "host/qemu_machine.h"
#include "vm/accelerator.h"
#include "vm/qemu.h"
#include "vm/verdict_cache.h"

namespace capsem::cli {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::uint64_t kMemoryBytes = 1ULL << 30;

Task<Result<Milliseconds>> boot_once(asio::any_io_executor executor,
                                     host::QemuMachineOptions options) {
  auto begin = Clock::now();
  host::Monitor monitor(executor, host::make_qemu_machine(executor, std::move(options)), {});
  async::TaskGroup tasks(executor);
  tasks.spawn(monitor.run());
  auto booted = co_await monitor.booted();
  Milliseconds took = Clock::now() - begin;
  monitor.stop();
  co_await tasks.join();
  if (!booted) co_return propagate(booted);
  co_return took;
}

// Runs a task to its end, on a loop of its own.
template <class T>
Result<T> complete(const std::function<Task<Result<T>>(asio::any_io_executor)>& make) {
  asio::io_context loop(1);
  std::optional<Result<T>> result;
  asio::co_spawn(loop, make(loop.get_executor()),
                 [&](const std::exception_ptr& thrown, Result<T> value) {
                   if (thrown) std::rethrow_exception(thrown);
                   result = std::move(value);
                 });
  loop.run();
  return std::move(*result);
}

}  // namespace

Result<vm::Accelerator> TrialBoot::accelerator() {
  if (accelerator_) return *accelerator_;
  auto verdict = complete<vm::Verdict>([this](asio::any_io_executor executor) {
    vm::AcceleratorQuery query;
    query.cache_directory = cache_;
    return vm::choose_accelerator(std::move(executor), std::move(query));
  });
  if (!verdict) return propagate(verdict);
  accelerator_ = verdict->accelerator;
  return *accelerator_;
}

Result<std::string> TrialBoot::identity() {
  auto chosen = accelerator();
  if (!chosen) return propagate(chosen);
  auto qemu = vm::find_qemu();
  if (!qemu) return propagate(qemu);
  return std::string(vm::name(*chosen)) + " " + vm::file_identity(*qemu);
}

Result<Milliseconds> TrialBoot::boot(const assets::Assets& assets, const Fd& image) {
  auto chosen = accelerator();
  if (!chosen) return propagate(chosen);
  return complete<Milliseconds>([&](asio::any_io_executor executor) {
    host::QemuMachineOptions options;
    options.accelerator.choice = *chosen == vm::Accelerator::kKvm ? vm::AcceleratorChoice::kKvm
                                                                  : vm::AcceleratorChoice::kTcg;
    options.accelerator.cache_directory = cache_;
    options.machine.memory_bytes = kMemoryBytes;
    options.machine.kernel = &assets.kernel;
    options.machine.initrd = &image;
    options.machine.rootfs = &assets.rootfs;
    return boot_once(std::move(executor), std::move(options));
  });
}

}  // namespace capsem::cli
