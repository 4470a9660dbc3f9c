#include "async/line_reader.h"

#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "async/task.h"

namespace capsem::async {

namespace asio = boost::asio;

// Shared with the reading coroutine, which may still be suspended when the reader is destroyed.
struct LineReader::State {
  State(const asio::any_io_executor& executor, Fd fd) : source(executor, fd.release()) {}

  asio::posix::stream_descriptor source;
  LineTail tail;
  std::array<char, 16384> buffer{};

  // Feeds what is there; true until the source has ended or failed.
  bool read_available() {
    for (;;) {
      auto n = ::read(source.native_handle(), buffer.data(), buffer.size());
      if (n > 0) {
        tail.feed({buffer.data(), static_cast<std::size_t>(n)});
        // One piece at a time: a flooding guest must not keep the loop from its other work.
        return true;
      }
      if (n < 0 && errno == EINTR) continue;
      return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
  }

  static Task<> run(std::shared_ptr<State> state) {
    for (;;) {
      boost::system::error_code error;
      co_await state->source.async_wait(asio::posix::stream_descriptor::wait_read,
                                        asio::redirect_error(asio::use_awaitable, error));
      if (error || !state->source.is_open() || !state->read_available()) co_return;
    }
  }
};

LineReader::LineReader(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<LineReader> LineReader::start(const asio::any_io_executor& executor, TaskGroup& tasks,
                                     Fd source) {
  if (auto set = set_nonblocking(source, true); !set) return propagate(set);
  auto state = std::make_shared<State>(executor, std::move(source));
  tasks.spawn(State::run(state));
  return LineReader(std::move(state));
}

LineReader::~LineReader() {
  if (!state_) return;
  state_->tail.on_line({});
  boost::system::error_code ignored;
  [[maybe_unused]] auto closed = state_->source.close(ignored);
}

void LineReader::on_line(LineTail::Handler handler) {
  state_->tail.on_line(std::move(handler));
}

std::vector<std::string> LineReader::last_lines(std::size_t count) const {
  return state_->tail.last(count);
}

void LineReader::drain() {
  // A source that never ends must not hold the caller: QEMU's stderr pipe holds 64 KiB.
  constexpr int kMaxReads = 64;
  for (int i = 0; i < kMaxReads; ++i) {
    auto n = ::read(state_->source.native_handle(), state_->buffer.data(), state_->buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    state_->tail.feed({state_->buffer.data(), static_cast<std::size_t>(n)});
  }
}

}  // namespace capsem::async
