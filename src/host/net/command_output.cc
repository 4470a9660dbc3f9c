#include "host/net/command_output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <memory>
#include <utility>

#include "async/limit.h"
#include "async/readiness.h"
#include "base/process.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;

// The program and all that it started, unless it has ended well: what is left of one that is ended
// would pile up.
class Running {
 public:
  Running(Process process, Fd output)
      : process_(std::move(process)), output_(std::move(output)), group_(process_.pid()) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (!ended_well_) ::kill(-group_, SIGKILL);
  }

  Task<Result<std::string>> follow(std::size_t limit_bytes);

 private:
  Process process_;
  Fd output_;
  pid_t group_;
  bool ended_well_ = false;
};

Result<std::unique_ptr<Running>> start(std::vector<std::string> words) {
  auto pipe = make_pipe();
  if (!pipe) return propagate(pipe);
  auto null = open_file("/dev/null", O_RDWR | O_CLOEXEC);
  if (!null) return propagate(null);
  Command command{.argv = std::move(words),
                  .fds = {{0, null->get()}, {1, pipe->second.get()}, {2, null->get()}},
                  .new_session = true,
                  .die_with_parent = true};
  auto process = Process::start(command);
  if (!process) return propagate(process);
  return std::make_unique<Running>(std::move(*process), std::move(pipe->first));
}

// The pipe takes more than may be printed, so that it need not be read before the end; what a child
// of the program keeps open does not matter then.
Task<Result<std::string>> Running::follow(std::size_t limit_bytes) {
  auto executor = co_await asio::this_coro::executor;
  auto ended =
      async::Readiness::watch(executor, process_.pidfd().get(), async::Readiness::Direction::kRead);
  if (!ended) co_return propagate(ended);
  const bool has_ended = co_await (*ended)->wait();
  if (!has_ended) co_return fail("wait for", "it", "it was given up", "", ErrorKind::kTimeout);
  auto status = process_.wait();
  if (!status) co_return propagate(status);
  if (!status->success()) co_return fail("run", "it", "it ended with " + status->describe());
  std::string text(limit_bytes + 1, '\0');
  if (auto set = set_nonblocking(output_, true); !set) co_return propagate(set);
  const auto size = ::read(output_.get(), text.data(), text.size());
  if (size < 0 && errno != EAGAIN) co_return fail_system("read", "its output", errno);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (text.size() > limit_bytes)
    co_return fail("read", "its output", "it is too long", "", ErrorKind::kNoSpace);
  ended_well_ = true;
  co_return text;
}

}  // namespace

Task<Result<std::string>> command_output(std::vector<std::string> words, std::size_t limit_bytes,
                                         std::chrono::milliseconds time_limit) {
  auto running = start(std::move(words));
  if (!running) co_return propagate(running);
  auto output = co_await async::with_limit(time_limit, (*running)->follow(limit_bytes));
  if (!output)
    co_return fail(
        "run", "it",
        "it took longer than " +
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time_limit).count()) +
            " s",
        "", ErrorKind::kTimeout);
  co_return std::move(*output);
}

}  // namespace capsem::host::net
