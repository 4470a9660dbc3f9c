#include "client/terminal_guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "client/terminal.h"

namespace capsem::client {
namespace {

constexpr int kTerminal = 0;
constexpr int kLine = 1;
constexpr int kBeyondBoth = 10;

// After fork(2): async-signal-safe calls only.
[[noreturn]] void guard(int terminal, int line, const termios& found, const termios& raw) {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  // Away from the terminal's session: no Ctrl-C, no hang-up, and job control does not keep it from
  // setting the terminal's modes.
  ::setsid();
  ::prctl(PR_SET_NAME, "capsem-terminal");
  terminal = ::fcntl(terminal, F_DUPFD, kBeyondBoth);
  line = ::fcntl(line, F_DUPFD, kBeyondBoth);
  ::dup2(terminal, kTerminal);
  ::dup2(line, kLine);
  // Holds nothing else open: whoever waits for the end of one of our pipes must not wait for this.
  ::syscall(SYS_close_range, kLine + 1, ~0U, 0);

  char dismissed = 0;
  ssize_t n = -1;
  do {
    n = ::read(kLine, &dismissed, 1);
  } while (n < 0 && errno == EINTR);
  termios now{};
  if (n != 1 && ::tcgetattr(kTerminal, &now) == 0 && same_modes(now, raw))
    ::tcsetattr(kTerminal, TCSANOW, &found);
  ::_exit(0);
}

}  // namespace

Result<TerminalGuard> TerminalGuard::start(int fd, const termios& found, const termios& raw) {
  auto pair = socket_pair();
  if (!pair) return propagate(pair);
  pid_t pid = ::fork();
  if (pid < 0) return fail_system("start", "the terminal's guard", errno);
  if (pid == 0) guard(fd, pair->second.get(), found, raw);
  return TerminalGuard(pid, std::move(pair->first));
}

TerminalGuard::TerminalGuard(TerminalGuard&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), line_(std::move(other.line_)) {}

void TerminalGuard::dismiss() {
  if (pid_ < 0) return;
  char word = 'd';
  [[maybe_unused]] auto n = ::send(line_.get(), &word, 1, MSG_NOSIGNAL);
  line_.reset();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace capsem::client
