#include "host/named_service.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "api/json.h"
#include "api/lease.h"
#include "api/vm_log.h"
#include "base/log.h"

namespace capsem::host {
namespace {

// The kind of a line in a log that is no event.
constexpr const char* kConsole = "console";

// systemd gives a service 90 s, and a session's processes as long.
constexpr std::chrono::seconds kSignalGrace{10};

// For clients that were told of a VM's end to read it.
constexpr std::chrono::milliseconds kLastAnswers{500};

Result<> leave_starter(const std::string& directory) {
  constexpr const char* kAttempt = "write the log of";
  auto logs = directory + "/" + api::kLogDirectory;
  if (::mkdir(logs.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_system(kAttempt, "the VM's monitor", errno);
  auto log = open_file(logs + "/monitor.log", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600);
  if (!log) return propagate(log, kAttempt, "the VM's monitor");
  if (::dup2(log->get(), STDERR_FILENO) < 0 || ::chdir("/") != 0)
    return fail_system("start", "the VM's monitor", errno);
  return {};
}

}  // namespace

Result<std::unique_ptr<NamedService>> NamedService::create(
    const boost::asio::any_io_executor& executor, std::unique_ptr<NamedVm>& vm) {
  if (auto left = leave_starter(vm->directory()); !left) return propagate(left);
  return std::make_unique<NamedService>(executor, std::move(vm));
}

NamedService::NamedService(const boost::asio::any_io_executor& executor,
                           std::unique_ptr<NamedVm> vm)
    : log_(vm->directory(), api::kLogLimitBytes),
      vm_(std::move(vm)),
      net_log_(
          executor, vm_->directory(),
          [this](const std::string& text) { log_.add(api::name(api::EventKind::kWarning), text); }),
      tasks_(executor) {}

void NamedService::console_line(std::string_view line) {
  log_.add(kConsole, line);
}

Task<> NamedService::run(Monitor& monitor, Clients& clients, Lease& lease) {
  tasks_.spawn(lease.take_clients(clients));
  tasks_.spawn(vm_->accept(clients));
  tasks_.spawn(log_.run());
  tasks_.spawn(log_.follow(monitor.events()));
  tasks_.spawn(stop_on_signal(monitor));
  auto recorded = co_await vm_->record_start();
  if (!recorded) monitor.events().publish(api::EventKind::kWarning, recorded.error().message());
  Monitor::Settle at_end = [this](const api::End& end) { return settle(end); };
  std::exception_ptr thrown;
  try {
    co_await monitor.run(std::move(at_end));
  } catch (...) {
    thrown = std::current_exception();
  }
  const api::End broken{.kind = api::EndKind::kFailed, .error = std::nullopt};
  if (thrown && vm_) co_await settle(broken);
  if (thrown) std::rethrow_exception(thrown);
  co_await clients.finish(kLastAnswers);
}

// The host is shut down, or its user's session ends.
Task<> NamedService::stop_on_signal(Monitor& monitor) {
  boost::asio::signal_set signals(co_await boost::asio::this_coro::executor, SIGTERM);
  co_await signals.async_wait(boost::asio::use_awaitable);
  monitor.shut_down(kSignalGrace);
}

Task<> NamedService::settle(const api::End& end) {
  auto recorded = co_await vm_->record_end(end);
  if (!recorded) say(recorded.error().message());
  tasks_.cancel();
  co_await tasks_.join();
  co_await net_log_.finish();
  log_.add(api::name(api::EventKind::kState), api::name(api::State::kEnded));
  if (end.error) log_.add(api::name(api::EventKind::kWarning), end.error->message());
  co_await log_.finish();
  vm_.reset();
}

}  // namespace capsem::host
