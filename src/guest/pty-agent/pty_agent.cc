#include "guest/pty-agent/pty_agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "guest/pty-agent/serve.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr int kFirstListenFd = 3;  // SD_LISTEN_FDS_START

constexpr const char* kTooMany =
    "256 sessions are running in this guest already, which is the limit; end one of them first";
static_assert(kMaxSessions == 256);

Result<Fd> inherited_listener() {
  const char* count = ::getenv("LISTEN_FDS");
  const char* pid = ::getenv("LISTEN_PID");
  if (count == nullptr || std::string_view(count) != "1" ||
      (pid != nullptr && std::to_string(::getpid()) != pid))
    return fail("find", "the listening socket", "LISTEN_FDS=1 is not set for this process",
                "start this program from a supervisor that passes the socket as descriptor 3");
  Fd listener(kFirstListenFd);
  int listening = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(listener.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
    return fail_system("use", "descriptor 3", errno);
  if (listening == 0) return fail("use", "descriptor 3", "it is not a listening socket");
  if (::fcntl(listener.get(), F_SETFD, FD_CLOEXEC) != 0)
    return fail_system("set up", "descriptor 3", errno);
  if (auto set = set_nonblocking(listener, true); !set) return propagate(set);
  return listener;
}

// Descriptors 0 to 2 exist, so that no other descriptor ever gets one of these numbers.
Result<> fill_standard_descriptors() {
  for (;;) {
    auto null = open_file("/dev/null", O_RDWR);
    if (!null) return propagate(null);
    if (null->get() > 2) return {};
    null->release();
  }
}

Result<Fd> watch_children() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_system("watch", "child processes", errno);
  return fd;
}

// How many children had ended.
int reap() {
  int count = 0;
  while (::waitpid(-1, nullptr, WNOHANG) > 0) ++count;
  return count;
}

[[noreturn]] void serve_and_exit(Fd connection) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_NAME, "pty-session");
  serve_connection(std::move(connection));
  ::_exit(0);
}

// One connection of those that wait; the number of processes started for it.
int accept_one(Fd& listener, Fd& children, int sessions) {
  Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) return 0;  // it went away again, or there is no room for it yet
  if (sessions >= kMaxSessions) {
    refuse_connection(std::move(connection), kTooMany);
    return 0;
  }
  pid_t pid = ::fork();
  if (pid < 0) {
    refuse_connection(std::move(connection), "the guest cannot start another process");
    return 0;
  }
  if (pid == 0) {
    listener.reset();
    children.reset();
    serve_and_exit(std::move(connection));
  }
  return 1;
}

Result<> serve_all() {
  if (auto filled = fill_standard_descriptors(); !filled) return filled;
  auto listener = inherited_listener();
  if (!listener) return propagate(listener);
  auto children = watch_children();
  if (!children) return propagate(children);
  for (int sessions = 0;;) {
    std::array<pollfd, 2> waiting = {pollfd{listener->get(), POLLIN, 0},
                                     pollfd{children->get(), POLLIN, 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
      return fail_system("wait for", "connections", errno);
    if (waiting[1].revents != 0) {
      signalfd_siginfo ignored{};
      [[maybe_unused]] auto n = ::read(children->get(), &ignored, sizeof ignored);
      sessions -= reap();
    }
    if (waiting[0].revents != 0) sessions += accept_one(*listener, *children, sessions);
  }
}

}  // namespace

int run(int /*argc*/, char** /*argv*/) {
  auto served = serve_all();
  if (!served) warn(served.error().message());
  return 1;
}

}  // namespace capsem::guest::pty_agent
