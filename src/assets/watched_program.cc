#include "assets/watched_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace capsem::assets {
namespace {

constexpr std::size_t kMaxLineBytes = 64 << 10;
constexpr std::chrono::seconds kStopLimit{30};

// The one that arrived, which the program does not ignore any more than we do. But on SIGQUIT a
// program dumps core where on SIGINT it cleans up.
int stop_signal(const Error& error) {
  if (error.signal() == 0) return SIGTERM;
  return error.signal() == SIGQUIT ? SIGINT : error.signal();
}

class Watched {
 public:
  Watched(Process process, Fd errors, Fd input, const OnLine& on_line)
      : process_(std::move(process)),
        errors_(std::move(errors)),
        input_(std::move(input)),
        on_line_(on_line) {}

  // Until the program has closed its stderr and ended.
  Result<> serve(HeldSignals& signals, const Feed& feed) {
    while (errors_ || input_) {
      std::array<pollfd, 3> waiting = {pollfd{errors_.get(), POLLIN, 0},
                                       pollfd{input_.get(), POLLOUT, 0},
                                       pollfd{signals.fd().get(), POLLIN, 0}};
      if (::poll(waiting.data(), waiting.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return fail_system("wait for", "a program", errno);
      }
      if (waiting[2].revents != 0)
        if (auto number = signals.ending())
          return fail_interrupted("wait for", "a program", *number);
      if (waiting[0].revents != 0) read_errors();
      if (waiting[1].revents != 0)
        if (auto fed = write_input(feed); !fed) return fed;
    }
    return {};
  }

  Result<ExitStatus> wait() { return process_.wait(); }

  // Ends the program and what it started by the signal `number`, and waits for that.
  void stop(int number) {
    ::kill(-process_.pid(), number);
    input_.reset();
    auto deadline = std::chrono::steady_clock::now() + kStopLimit;
    while (errors_) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      pollfd waiting{errors_.get(), POLLIN, 0};
      int ready = left.count() > 0 ? ::poll(&waiting, 1, static_cast<int>(left.count())) : 0;
      if (ready == 0 || (ready < 0 && errno != EINTR)) {
        ::kill(-process_.pid(), SIGKILL);
        break;
      }
      if (waiting.revents != 0) read_errors();
    }
  }

 private:
  void read_errors() {
    std::array<char, 4096> buffer{};
    ssize_t n = ::read(errors_.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) {
      if (!line_.empty()) on_line_(line_);
      errors_.reset();
      return;
    }
    for (char c : std::string_view(buffer.data(), static_cast<std::size_t>(n))) {
      // apt redraws a line with a carriage return.
      if (c != '\n' && c != '\r' && line_.size() < kMaxLineBytes) {
        line_ += c;
        continue;
      }
      if (!line_.empty()) on_line_(line_);
      line_.clear();
    }
  }

  Result<> write_input(const Feed& feed) {
    if (piece_.empty()) {
      auto next = feed();
      if (!next) return propagate(next);
      piece_ = *next;
      if (piece_.empty()) {
        input_.reset();
        return {};
      }
    }
    ssize_t n = ::write(input_.get(), piece_.data(), piece_.size());
    if (n > 0) piece_.remove_prefix(static_cast<std::size_t>(n));
    if (n < 0 && errno != EAGAIN && errno != EINTR) input_.reset();
    return {};
  }

  Process process_;
  Fd errors_;
  Fd input_;
  const OnLine& on_line_;
  std::string line_;
  std::string_view piece_;
};

}  // namespace

Result<ExitStatus> run_watched(Command command, HeldSignals& signals, const OnLine& on_line,
                               const Feed& feed) {
  auto errors = make_pipe();
  if (!errors) return propagate(errors);
  auto input = make_pipe();
  if (!input) return propagate(input);
  command.fds.emplace_back(2, errors->second.get());
  if (feed) command.fds.emplace_back(0, input->first.get());
  command.new_session = true;
  auto process = Process::start(command);
  if (!process) return propagate(process);
  errors->second.reset();
  input->first.reset();
  if (!feed) input->second.reset();
  if (feed)
    if (auto set = set_nonblocking(input->second, true); !set) return propagate(set);

  Watched watched(std::move(*process), std::move(errors->first), std::move(input->second), on_line);
  auto served = watched.serve(signals, feed);
  if (!served) watched.stop(stop_signal(served.error()));
  auto status = watched.wait();
  if (!served) return propagate(served);
  return status;
}

}  // namespace capsem::assets
