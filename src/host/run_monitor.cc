#include "host/run_monitor.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "api/json.h"
#include "api/lease.h"
#include "async/task_group.h"
#include "base/message_socket.h"
#include "host/clients.h"
#include "host/monitor.h"
#include "host/qemu_machine.h"

namespace capsem::host {
namespace {

namespace asio = boost::asio;

// The lease as the event loop reads it.
class Lease {
 public:
  Lease(const asio::any_io_executor& executor, Fd socket)
      : socket_(std::move(socket)),
        readable_(executor, ::fcntl(socket_.get(), F_DUPFD_CLOEXEC, 0)) {}

  // The next message; kClosed at the lease's end.
  Task<Result<Message>> next() {
    while (!cancelled_) {
      auto message = receive_message(socket_);
      if (!message) co_return propagate(message);
      if (*message) co_return std::move(**message);
      boost::system::error_code error;
      co_await readable_.async_wait(asio::posix::descriptor_base::wait_read,
                                    asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return fail("wait for", "the lease", error.message());
    }
    co_return fail("wait for", "the lease", "it is given up", "", ErrorKind::kClosed);
  }
  // Ends a pending next() and those to come.
  void cancel() {
    cancelled_ = true;
    readable_.cancel();
  }

 private:
  Fd socket_;
  asio::posix::stream_descriptor readable_;
  bool cancelled_ = false;
};

struct Started {
  api::Start start;
  std::vector<Fd> files;  // kernel, initrd, rootfs
};

Task<Result<Started>> receive_start(Lease& lease) {
  auto message = co_await lease.next();
  if (!message) co_return propagate(message);
  auto start = api::parse_start(message->text);
  if (!start) co_return propagate(start);
  if (message->fds.size() != api::kStartFds)
    co_return fail("start", "a VM", "its files were not handed over", "", ErrorKind::kInvalid);
  co_return Started{std::move(*start), std::move(message->fds)};
}

Result<QemuMachineOptions> machine_options(const Started& started) {
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
  return options;
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

// Takes clients until the lease ends, and with it the VM.
Task<> follow_lease(Lease& lease, Clients& clients, Monitor& monitor) {
  for (;;) {
    auto message = co_await lease.next();
    if (!message) break;
    if (message->text != api::kConnection || message->fds.size() != 1) break;
    // Refused ones are closed, which is all that a client needs.
    static_cast<void>(clients.add(std::move(message->fds.front())));
  }
  monitor.stop();
}

Task<Result<>> serve(asio::any_io_executor executor, Fd socket, const MakeMachine& make_machine) {
  Lease lease(executor, std::move(socket));
  auto started = co_await receive_start(lease);
  if (!started) co_return propagate(started);
  auto options = machine_options(*started);
  if (!options) co_return propagate(options);
  Monitor monitor(executor, make_machine(executor, std::move(*options)),
                  {.boot_limit = std::chrono::milliseconds(started->start.boot_limit_ms),
                   .hostname = started->start.hostname});
  Clients clients(executor, monitor);
  async::TaskGroup tasks(executor);
  tasks.spawn(run_to_end(monitor, lease));
  // Also after the VM's end: how it ended is still to be told.
  co_await follow_lease(lease, clients, monitor);
  std::exception_ptr thrown;
  try {
    co_await tasks.join();
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
  ::signal(SIGPIPE, SIG_IGN);
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
