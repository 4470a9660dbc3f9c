#include "host/named_vm.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

namespace capsem::host {
namespace {

namespace asio = boost::asio;

constexpr int kBacklog = 128;
// When there is no descriptor for another client, until one may be free.
constexpr std::chrono::milliseconds kPause{100};

std::string reason_of(const api::End& end) {
  switch (end.kind) {
    case api::EndKind::kStopped:
      return "";
    case api::EndKind::kPoweredOff:
      return "the guest was switched off";
    case api::EndKind::kRebooted:
      return "the guest was rebooted";
    case api::EndKind::kFailed:
      break;
  }
  return end.error ? end.error->message() : "it ended by itself";
}

Result<> update(const std::string& directory, api::RecordedState state, std::string reason) {
  auto record = api::read_record(directory);
  if (!record) return propagate(record);
  auto boot_id = api::host_boot_id();
  if (!boot_id) return propagate(boot_id);
  api::set_state(*record, state, std::move(reason));
  record->boot_id = std::move(*boot_id);
  return api::write_record(directory, *record);
}

}  // namespace

NamedVm::NamedVm(const asio::any_io_executor& executor, std::vector<Fd> files)
    : files_(std::move(files)),
      acceptable_(executor, ::fcntl(file(api::NamedFd::kListener).get(), F_DUPFD_CLOEXEC, 0)) {
  // Again, so that SO_PEERCRED of a client names this process.
  ::listen(file(api::NamedFd::kListener).get(), kBacklog);
}

NamedVm::~NamedVm() {
  // Its directory is left to who comes next, or removes the VM.
  ::unlinkat(file(api::NamedFd::kRuntime).get(), api::kMonitorSocket, 0);
}

std::string NamedVm::directory() const {
  return "/proc/self/fd/" + std::to_string(file(api::NamedFd::kState).get());
}

Task<Result<>> NamedVm::record(api::RecordedState state, std::string reason) {
  auto work = [directory = directory(), state, reason = std::move(reason)] {
    return update(directory, state, reason);
  };
  auto written = co_await disk_.run(std::move(work));
  co_return written;
}

Task<Result<>> NamedVm::record_start() {
  return record(api::RecordedState::kRunning, "");
}

Task<Result<>> NamedVm::record_end(const api::End& end) {
  bool failed = end.kind == api::EndKind::kFailed;
  return record(failed ? api::RecordedState::kFailed : api::RecordedState::kStopped,
                reason_of(end));
}

Task<> NamedVm::accept(Clients& clients) {
  asio::steady_timer pause(acceptable_.get_executor());
  for (;;) {
    boost::system::error_code error;
    co_await acceptable_.async_wait(asio::posix::descriptor_base::wait_read,
                                    asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    Fd socket(::accept4(file(api::NamedFd::kListener).get(), nullptr, nullptr,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      // Refused ones are closed, which is all that a client needs.
      [[maybe_unused]] auto added = clients.add(std::move(socket));
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      pause.expires_after(kPause);
      co_await pause.async_wait(asio::use_awaitable);
    }
  }
}

}  // namespace capsem::host
