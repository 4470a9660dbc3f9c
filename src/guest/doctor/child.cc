#include "guest/doctor/child.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "guest/doctor/deadline.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::size_t kPipeBytes = 64 << 10;  // pipe(7): what a pipe takes without a reader

// Takes what lies ready once; false when the pipe has ended.
bool take_once(Listener& listener) {
  std::array<char, 16384> buffer;
  ssize_t n = ::read(listener.fd.get(), buffer.data(), buffer.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  listener.take({buffer.data(), static_cast<std::size_t>(n)});
  return true;
}

// What is left in the pipes of a child that has ended; others may still hold their other ends.
void take_rest(std::vector<Listener>& listeners) {
  for (auto& listener : listeners) {
    pollfd ready{listener.fd.get(), POLLIN, 0};
    while (listener.fd && ::poll(&ready, 1, 0) == 1)
      if (!take_once(listener)) listener.fd.reset();
  }
}

// False when the deadline passed before the end.
bool take_until_end(const Process& process, std::vector<Listener>& listeners,
                    Clock::time_point deadline) {
  std::vector<pollfd> waiting(listeners.size() + 1);
  for (;;) {
    for (std::size_t i = 0; i < listeners.size(); ++i)
      waiting[i] = {listeners[i].fd.get(), POLLIN, 0};
    waiting.back() = {process.pidfd().get(), POLLIN, 0};
    int left = milliseconds_until(deadline);
    if (left == 0) return false;
    if (::poll(waiting.data(), waiting.size(), left) < 0 && errno != EINTR) return false;
    for (std::size_t i = 0; i < listeners.size(); ++i)
      if (waiting[i].revents != 0 && !take_once(listeners[i])) listeners[i].fd.reset();
    if (waiting.back().revents != 0) return true;
  }
}

Listener keep_start(Fd fd, std::string& text) {
  return {std::move(fd), [&text](std::string_view bytes) {
            text += bytes.substr(0, kMaxOutputBytes - std::min(kMaxOutputBytes, text.size()));
          }};
}

}  // namespace

Result<std::optional<ExitStatus>> run_watched(Command command, std::vector<Listener> listeners,
                                              std::chrono::milliseconds limit) {
  auto deadline = Clock::now() + limit;
  command.new_session = true;
  command.die_with_parent = true;
  auto process = Process::start(command);
  if (!process) return propagate(process);
  bool ended = take_until_end(*process, listeners, deadline);
  // Before the child is reaped, so that its number is still the group's.
  ::kill(-process->pid(), SIGKILL);
  auto status = process->wait();
  if (!status) return propagate(status);
  take_rest(listeners);
  if (!ended) return std::nullopt;
  return *status;
}

Result<Ran> run_program(std::vector<std::string> argv, std::string_view input,
                        std::chrono::milliseconds limit) {
  std::string name = argv.at(0);
  if (input.size() > kPipeBytes) return fail("run", name, "its input is too large");
  std::array<std::pair<Fd, Fd>, 3> pipes;
  for (auto& pipe : pipes) {
    auto made = make_pipe();
    if (!made) return propagate(made, "run", name);
    pipe = std::move(*made);
  }
  if (auto written = write_full(pipes[0].second, as_bytes(input), "a pipe"); !written)
    return propagate(written, "run", name);
  pipes[0].second.reset();
  Ran ran;
  Command command;
  command.argv = std::move(argv);
  command.fds = {{0, pipes[0].first.get()}, {1, pipes[1].second.get()}, {2, pipes[2].second.get()}};
  std::vector<Listener> listeners;
  listeners.push_back(keep_start(std::move(pipes[1].first), ran.output));
  listeners.push_back(keep_start(std::move(pipes[2].first), ran.errors));
  auto status = run_watched(std::move(command), std::move(listeners), limit);
  if (!status) return propagate(status);
  if (!*status) return fail("run", name, "it did not end in time", "", ErrorKind::kTimeout);
  ran.status = **status;
  return ran;
}

}  // namespace capsem::guest::doctor
