#include "client/owned_monitor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "api/json.h"
#include "api/lease.h"
#include "base/message_socket.h"
#include "base/text.h"

namespace capsem::client {
namespace {

// Waits until the process behind `pidfd` has ended; false when that takes longer than `limit`.
bool wait_for_end(const Fd& pidfd, std::chrono::milliseconds limit) {
  auto until = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() < 0) return false;
    pollfd waiting{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace

Result<OwnedMonitor> OwnedMonitor::start(const std::filesystem::path& executable) {
  auto lease = message_socket_pair();
  if (!lease) return propagate(lease, "start", "the VM's monitor");
  auto errors = make_pipe();
  if (!errors) return propagate(errors, "start", "the VM's monitor");
  // A monitor must not wait for who reads its stderr.
  if (auto set = set_nonblocking(errors->second, true); !set) return propagate(set);
  auto null = open_file("/dev/null", O_RDWR | O_CLOEXEC);
  if (!null) return propagate(null, "start", "the VM's monitor");
  Command command{.argv = {executable.string(), "monitor"},
                  .fds = {{0, null->get()},
                          {1, null->get()},
                          {2, errors->second.get()},
                          {api::kLeaseFd, lease->second.get()}},
                  .new_session = true};
  auto process = Process::start(command);
  if (!process) return propagate(process, "start", "the VM's monitor");
  return OwnedMonitor(std::move(*process), std::move(lease->first), std::move(errors->first));
}

Result<> OwnedMonitor::start_vm(const api::Start& start, std::span<const int> fds) {
  auto sent = send_message(lease_, api::to_json(start), fds);
  if (!sent) return propagate(sent, "start", "the VM");
  return {};
}

void OwnedMonitor::release() {
  lease_.reset();
  process_.release();
}

Result<Fd> OwnedMonitor::connect() {
  auto pair = socket_pair();
  if (!pair) return propagate(pair, "connect to", "the VM's monitor");
  const std::array theirs = {pair->second.get()};
  auto sent = send_message(lease_, api::kConnection, theirs);
  if (!sent) return propagate(sent, "connect to", "the VM's monitor");
  return std::move(pair->first);
}

Result<> OwnedMonitor::end(std::chrono::milliseconds limit) {
  lease_.reset();
  if (end_told_) return {};
  if (!wait_for_end(process_.pidfd(), limit)) {
    process_.kill(SIGKILL);
    return fail("end", "the VM's monitor",
                "it did not end within " + std::to_string(limit.count() / 1000) + " s",
                "it was killed, and the VM with it", ErrorKind::kTimeout);
  }
  auto status = process_.wait();
  if (!status) return propagate(status, "end", "the VM's monitor");
  if (!status->success())
    return fail("end", "the VM's monitor", "it ended with " + status->describe());
  return {};
}

std::string OwnedMonitor::end_in_words() {
  constexpr std::chrono::milliseconds kSoon{500};
  if (!wait_for_end(process_.pidfd(), kSoon)) return "it does not answer";
  auto status = process_.wait();
  end_told_ = true;
  auto words = "it ended with " + (status ? status->describe() : status.error().message());
  std::string text(4096, '\0');
  auto n = ::read(errors_.get(), text.data(), text.size());
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  while (text.ends_with('\n')) text.pop_back();
  auto last = text.substr(text.rfind('\n') + 1);
  return last.empty() ? words : words + ": " + printable(last);
}

}  // namespace capsem::client
