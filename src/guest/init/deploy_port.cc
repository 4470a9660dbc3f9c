#include "guest/init/deploy_port.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <span>
#include <utility>

#include "base/message_socket.h"
#include "guest/init/console.h"
#include "guest/init/deploy_receiver.h"
#include "guest/init/deploy_update.h"
#include "guest/init/entry_mount.h"
#include "guest/init/kernel_settings.h"
#include "guest/vsock_address.h"
#include "manifest/table.h"
#include "wire/codec.h"
#include "wire/exact.h"

namespace capsem::guest::init {
namespace {

// How long the host may say nothing, before the next deploy can begin.
constexpr timeval kSilence{.tv_sec = 20, .tv_usec = 0};
// The message that brings the new set, and that of a host that has left; any other says why there
// is no set.
constexpr std::string_view kReady = "ready";
constexpr std::string_view kLeft = "left";

// PID 1 never waits for the host: a message that does not fit at once is lost with its connection.
void send_at_once(const Fd& connection, const wire::GuestDeploy& message) {
  auto frame = wire::encode(message);
  if (!frame) return log(frame.error().message());
  [[maybe_unused]] auto sent =
      ::send(connection.get(), frame->data(), frame->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

// ---- in the process of its own

Result<Fd> make_set(const Fd& connection, const DeployedEntry& init) {
  auto running = read_running_set("");
  if (!running) return propagate(running);
  wire::DeployState state{.entries = running->entries,
                          .table = manifest::encode_table(running->manifest)};
  state.entries.push_back(init);
  auto items = make_entry_file_system();
  if (!items) return propagate(items);
  auto update = receive_update(connection, state, path_of(*items));
  if (!update) return propagate(update);
  auto set = make_entry_file_system();
  if (!set) return propagate(set);
  auto deployment = deploy_update(*update, *running, path_of(*set));
  if (!deployment) return propagate(deployment);
  auto written = write_records(update->manifest, *deployment, path_of(*set));
  if (!written) return propagate(written);
  if (auto sealed = seal(*set); !sealed) return propagate(sealed);
  return set;
}

void become_own_process(const Fd& connection) {
  forget_faults();
  // PID 1's own exemption is not for what receives megabytes: where memory is short, the deploy is
  // what ends first.
  [[maybe_unused]] auto first = write_setting("/proc/self/oom_score_adj", "1000");
  ::prctl(PR_SET_NAME, "deploy");
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &kSilence, sizeof kSilence);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &kSilence, sizeof kSilence);
}

// Until the host has closed it: a connection that is closed while there is more to read is reset,
// and the last word may be lost with it.
[[noreturn]] void drain_and_exit(const Fd& connection) {
  std::array<std::byte, 4096> ignored;
  while (::read(connection.get(), ignored.data(), ignored.size()) > 0) {
  }
  ::_exit(0);
}

// To whatever the host says first.
void answer_with(const Fd& connection, const std::string& reason) {
  auto first = wire::read_message<wire::HostDeploy>(connection, "the host");
  if (!first) return;
  send_at_once(connection, wire::DeployFailed{.text = reason});
  ::shutdown(connection.get(), SHUT_WR);
}

// Tells PID 1 of the new set, or why there is none.
void hand_over(Result<Fd> set, const Fd& line) {
  std::string said(kReady);
  if (!set) said = wire::clipped(set.error().message());
  // It had nothing to bring, or was ended.
  if (!set && set.error().kind() == ErrorKind::kClosed) said = kLeft;
  std::array<int, 1> fds = {set ? set->get() : -1};
  [[maybe_unused]] auto sent = send_message(line, said, std::span(fds).first(set ? 1 : 0));
}

}  // namespace

void DeployPort::accept() {
  Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection || is_of_this_guest(connection.get())) return;
  auto refuse = [&](const std::string& reason) {
    // Where no process is to be had the host hears of a lost connection.
    if (::fork() != 0) return;
    line_.reset();
    connection_.reset();
    listener_.reset();
    become_own_process(connection);
    answer_with(connection, reason);
    drain_and_exit(connection);
  };
  if (connection_) return refuse("another deploy is under way");
  auto line = message_socket_pair();
  if (!line) return refuse(line.error().message());
  pid_t pid = ::fork();
  if (pid < 0) return refuse("the guest cannot start another process");
  if (pid == 0) {
    line->first.reset();
    listener_.reset();
    become_own_process(connection);
    hand_over(make_set(connection, init_), line->second);
    line->second.reset();
    drain_and_exit(connection);
  }
  connection_ = std::move(connection);
  line_ = std::move(line->first);
}

void DeployPort::read_line(const Apply& apply) {
  auto message = receive_message(line_);
  if (message && !*message) return;
  line_.reset();
  if (!message) return finish("the process that received it has ended");
  if ((*message)->text == kLeft) return end();
  if ((*message)->text != kReady || (*message)->fds.size() != 1) return finish((*message)->text);
  auto done = apply((*message)->fds.front());
  if (!done) return finish(done.error().message());
  applied_ = true;
}

void DeployPort::finish(const wire::DeployDone& done) {
  send_at_once(connection_, done);
  end();
}

void DeployPort::finish(const std::string& failure) {
  log("deploy: " + failure);
  send_at_once(connection_, wire::DeployFailed{.text = wire::clipped(failure)});
  end();
}

void DeployPort::end() {
  ::shutdown(connection_.get(), SHUT_WR);
  connection_.reset();
  applied_ = false;
}

}  // namespace capsem::guest::init
