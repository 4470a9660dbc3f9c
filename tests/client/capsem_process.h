// A process that does what `capsem run` does to a session, with the real agent at the other end of
// a socket pair instead of in a guest. It exits once the agent has, with the command's status, and
// with 125 and a line on standard error when the session fails.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "async/socket_stream.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "client/endpoint.h"
#include "client/session.h"
#include "guest/pty-agent/serve.h"

namespace capsem::client {

inline constexpr std::chrono::seconds kTestLimit{60};

// The other end of `host`'s session: a process that serves it as in a guest.
inline pid_t fork_agent(Fd guest, Fd& host) {
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  host.reset();
  // A guest has none of the user's environment.
  for (const char* name : {"TERM", "COLORTERM"}) ::unsetenv(name);
  auto null = open_file("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null->get(), fd);
  guest::pty_agent::serve_connection(std::move(guest), guest::pty_agent::own_spaces().value());
  ::_exit(0);
}

// Runs one session over `socket` on an event loop of its own.
inline Result<SessionEnd> run_to_end(Fd socket, SessionRequest request) {
  boost::asio::io_context loop;
  auto stream = async::SocketStream::create(loop.get_executor(), std::move(socket));
  if (!stream) return propagate(stream);
  std::optional<Result<SessionEnd>> end;
  boost::asio::co_spawn(loop, run_session(**stream, std::move(request)),
                        [&end](const std::exception_ptr& exception, Result<SessionEnd> result) {
                          if (exception) std::rethrow_exception(exception);
                          end = std::move(result);
                        });
  loop.run();
  return std::move(*end);
}

inline int run_like_capsem(SessionRequest request, bool with_terminal) {
  const Signals signals;
  request.signals = &signals;
  if (auto reserved = reserve_standard_descriptors(); !reserved) return 125;
  auto pair = socket_pair();
  pid_t agent = fork_agent(std::move(pair->second), pair->first);
  std::optional<Terminal> terminal;
  if (with_terminal) {
    auto attached = Terminal::attach(0, 1);
    if (!attached) {
      warn(attached.error().message());
      return 125;
    }
    terminal.emplace(std::move(*attached));
    request.terminal = &*terminal;
  }
  auto end = run_to_end(std::move(pair->first), std::move(request));
  terminal.reset();
  ::waitpid(agent, nullptr, 0);
  if (!end) say(end.error().message());
  if (end && !end->message.empty()) say(end->message);
  return end ? end->status.shell_code() : 125;
}

inline SessionRequest command_line(std::string line) {
  SessionRequest request;
  request.start.command_line = std::move(line);
  return request;
}

// A child process, killed when the test leaves it behind.
class CapsemProcess {
 public:
  // `standard`: what becomes 0, 1 and 2; -1 closes it.
  CapsemProcess(SessionRequest request, std::array<int, 3> standard, bool with_terminal = false) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    if (with_terminal) ::login_tty(standard[0]);
    for (int fd = 0; fd < 3; ++fd) {
      int from = standard.at(static_cast<std::size_t>(fd));
      if (from < 0)
        ::close(fd);
      else if (!with_terminal)
        ::dup2(from, fd);
    }
    for (int fd = 3; fd < 256; ++fd) ::close(fd);
    ::_exit(run_like_capsem(std::move(request), with_terminal));
  }
  ~CapsemProcess() {
    if (pid_ <= 0) return;
    signal(SIGKILL);
    wait();
  }
  CapsemProcess(const CapsemProcess&) = delete;
  CapsemProcess& operator=(const CapsemProcess&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }

  // Its exit status as a shell has it.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = -1;
};

// Reads from `fd` into `text` until `done` says so; false at the end of input or the limit.
inline bool read_until(int fd, std::string& text, const std::function<bool()>& done) {
  auto deadline = std::chrono::steady_clock::now() + kTestLimit;
  while (!done()) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
    std::array<char, 65536> buffer;
    ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n <= 0) return false;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return true;
}

inline bool read_until(int fd, std::string& text, const std::string& wanted) {
  return read_until(fd, text, [&] { return text.find(wanted) != std::string::npos; });
}

inline std::string read_all(int fd) {
  std::string text;
  read_until(fd, text, [] { return false; });
  return text;
}

// Waits until `process` has ended; false when it has not within `limit`.
inline bool ends(pid_t process, std::chrono::milliseconds limit = kTestLimit) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  if (!pidfd) return true;
  pollfd waiting{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, static_cast<int>(limit.count())) == 1;
}

struct Finished {
  int code;
  std::string out;
  std::string err;
};

// Runs a session on pipes to its end; `input` is its whole standard input.
inline Finished run(SessionRequest request, std::string_view input = {}) {
  auto in = make_pipe();
  auto out = make_pipe();
  auto err = make_pipe();
  CapsemProcess process(std::move(request),
                        {in->first.get(), out->second.get(), err->second.get()});
  in->first.reset();
  out->second.reset();
  err->second.reset();
  [[maybe_unused]] auto before = ::signal(SIGPIPE, SIG_IGN);
  // Small enough for the pipe's own buffer, so that nothing has to be read meanwhile.
  [[maybe_unused]] auto written = write_full(in->second, as_bytes(input), "input");
  in->second.reset();
  Finished finished{};
  bool out_open = true;
  bool err_open = true;
  while (out_open || err_open) {
    std::array<pollfd, 2> waiting = {pollfd{out_open ? out->first.get() : -1, POLLIN, 0},
                                     pollfd{err_open ? err->first.get() : -1, POLLIN, 0}};
    if (::poll(waiting.data(), 2, std::chrono::milliseconds(kTestLimit).count()) <= 0) break;
    auto take = [](const pollfd& slot, std::string& text, bool& open) {
      if (slot.revents == 0) return;
      std::array<char, 65536> buffer;
      ssize_t n = ::read(slot.fd, buffer.data(), buffer.size());
      open = n > 0;
      if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    };
    take(waiting[0], finished.out, out_open);
    take(waiting[1], finished.err, err_open);
  }
  finished.code = process.wait();
  return finished;
}

}  // namespace capsem::client
