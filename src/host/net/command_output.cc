#include "host/net/command_output.h"

#include <fcntl.h>

#include <boost/asio/this_coro.hpp>
#include <span>
#include <utility>

#include "async/limit.h"
#include "async/readiness.h"
#include "async/socket_stream.h"
#include "base/process.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;

struct Running {
  Process process;
  std::unique_ptr<async::SocketStream> output;
};

Result<Running> start(const asio::any_io_executor& executor, std::vector<std::string> words) {
  auto sockets = socket_pair();
  if (!sockets) return propagate(sockets);
  auto null = open_file("/dev/null", O_RDWR | O_CLOEXEC);
  if (!null) return propagate(null);
  Command command{.argv = std::move(words),
                  .fds = {{0, null->get()}, {1, sockets->second.get()}, {2, null->get()}},
                  .new_session = true,
                  .die_with_parent = true};
  auto process = Process::start(command);
  if (!process) return propagate(process);
  auto output = async::SocketStream::create(executor, std::move(sockets->first));
  if (!output) return propagate(output);
  return Running{std::move(*process), std::move(*output)};
}

Task<Result<std::string>> follow(Running& running, std::size_t limit_bytes) {
  std::string text(limit_bytes + 1, '\0');
  std::size_t size = 0;
  for (;;) {
    auto buffer = std::as_writable_bytes(std::span(text)).subspan(size);
    auto read = co_await running.output->read_some(buffer);
    if (!read) co_return propagate(read);
    if (*read == 0) break;
    size += *read;
    if (size > limit_bytes)
      co_return fail("read", "its output", "it is too long", "", ErrorKind::kNoSpace);
  }
  text.resize(size);
  auto executor = co_await asio::this_coro::executor;
  auto ended = async::Readiness::watch(executor, running.process.pidfd().get(),
                                       async::Readiness::Direction::kRead);
  if (!ended) co_return propagate(ended);
  co_await (*ended)->wait();
  auto status = running.process.wait();
  if (!status) co_return propagate(status);
  if (!status->success()) co_return fail("run", "it", "it ended with " + status->describe());
  co_return text;
}

}  // namespace

Task<Result<std::string>> command_output(std::vector<std::string> words, std::size_t limit_bytes,
                                         std::chrono::milliseconds time_limit) {
  auto running = start(co_await asio::this_coro::executor, std::move(words));
  if (!running) co_return propagate(running);
  auto output = co_await async::with_limit(time_limit, follow(*running, limit_bytes));
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
