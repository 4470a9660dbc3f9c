#include "client/terminal_guard.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include "base/process.h"
#include "client/terminal.h"

namespace capsem::client {
namespace {

constexpr int kTerminal = 0;
constexpr int kLine = 1;
constexpr int kScreen = 2;
constexpr int kBeyondAll = 10;
constexpr int kScreenLimitMs = 200;

// After fork(2): async-signal-safe calls only.
[[noreturn]] void guard(int terminal, int screen, int line, const termios& found,
                        const termios& raw, const ScreenState& state) {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  // Away from the terminal's session: no Ctrl-C, no hang-up, and job control does not keep it from
  // setting the terminal's modes.
  ::setsid();
  ::prctl(PR_SET_NAME, "capsem-terminal");
  terminal = ::fcntl(terminal, F_DUPFD, kBeyondAll);
  line = ::fcntl(line, F_DUPFD, kBeyondAll);
  bool has_screen = screen >= 0;
  screen = ::fcntl(has_screen ? screen : terminal, F_DUPFD, kBeyondAll);
  ::dup2(terminal, kTerminal);
  ::dup2(line, kLine);
  ::dup2(screen, kScreen);
  // Holds nothing else open: whoever waits for the end of one of our pipes must not wait for this.
  ::syscall(SYS_close_range, kScreen + 1, ~0U, 0);

  char dismissed = 0;
  ssize_t n = -1;
  do {
    n = ::read(kLine, &dismissed, 1);
  } while (n < 0 && errno == EINTR);
  // First, since what a shell prints meanwhile on an alternate screen is lost. Whoever has set the
  // terminal's modes by then, a shell most likely, knows nothing of the screen's.
  if (n != 1 && has_screen) restore_screen(kScreen, state);
  termios now{};
  if (n != 1 && ::tcgetattr(kTerminal, &now) == 0 && same_modes(now, raw))
    ::tcsetattr(kTerminal, TCSANOW, &found);
  ::_exit(0);
}

}  // namespace

Result<TerminalGuard> TerminalGuard::start(int fd, int screen, const termios& found,
                                           const termios& raw) {
  void* memory = ::mmap(nullptr, sizeof(ScreenState), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_system("map", "memory for the terminal's guard", errno);
  SharedScreen shared(new (memory) ScreenState);
  auto pair = socket_pair();
  if (!pair) return propagate(pair);
  pid_t pid = ::fork();
  if (pid < 0)
    return fail_system("start", "the terminal's guard", errno,
                       errno == EAGAIN ? kProcessLimitAdvice : "");
  if (pid == 0) guard(fd, screen, pair->second.get(), found, raw, *shared);
  return TerminalGuard(std::move(shared), pid, std::move(pair->first));
}

TerminalGuard::TerminalGuard(TerminalGuard&& other) noexcept
    : screen_(std::move(other.screen_)),
      pid_(std::exchange(other.pid_, -1)),
      line_(std::move(other.line_)) {}

void TerminalGuard::Unmap::operator()(ScreenState* state) const {
  ::munmap(state, sizeof *state);
}

void TerminalGuard::dismiss() {
  if (pid_ < 0) return;
  char word = 'd';
  [[maybe_unused]] auto n = ::send(line_.get(), &word, 1, MSG_NOSIGNAL);
  line_.reset();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void restore_screen(int screen, const ScreenState& state) {
  std::array<char, kMaxRestoreBytes> bytes{};
  std::size_t size = restore_sequence(state, bytes);
  pollfd ready{.fd = screen, .events = POLLOUT, .revents = 0};
  if (size == 0 || ::poll(&ready, 1, kScreenLimitMs) != 1) return;
  [[maybe_unused]] auto n = ::write(screen, bytes.data(), size);
}

}  // namespace capsem::client
