#include "host/net/tls_stream.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "async/event.h"
#include "async/limit.h"
#include "host/net/linger.h"

namespace capsem::host::net {
namespace {

// A connection on which nothing moves waits with the smaller buffer, one in flow with the larger.
constexpr std::size_t kWaitingBytes = 512;
constexpr std::size_t kFlowingBytes = 64 << 10;
// What is encrypted before it is written.
constexpr std::size_t kPieceBytes = 64 << 10;
// Answers that the peer provokes and does not read, such as those to a change of keys.
constexpr std::size_t kMostUnreadBytes = 64 << 10;
// For the peer of a handshake that failed to read the alert.
constexpr std::size_t kLingerBytes = 64 << 10;
constexpr std::chrono::seconds kLingerLimit{1};

constexpr const char* kWhat = "the TLS connection";

class Flag {
 public:
  explicit Flag(bool& flag) : flag_(flag) { flag_ = true; }
  ~Flag() { flag_ = false; }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

 private:
  bool& flag_;
};

}  // namespace

// Shared with the task that closes, which may end after the stream.
struct TlsStream::State {
  std::unique_ptr<async::Stream> owned;
  async::Stream* below = nullptr;
  std::unique_ptr<TlsEngine> engine;

  std::vector<std::byte> given;  // read by somebody before us
  std::unique_ptr<std::byte[]> buffer;
  std::size_t buffer_bytes = 0;
  bool flows = false;

  bool flushing = false;
  async::Event flushed;
  bool writing = false;
  bool write_ended = false;
  bool read_ended = false;

  Task<Result<bool>> receive();
  Task<Result<>> flush();
  Task<Result<>> flush_after_others();
  Task<Result<>> handshake();
  Task<> close();
};

// Feeds the engine more of what is below; false at its end.
Task<Result<bool>> TlsStream::State::receive() {
  given = {};
  const std::size_t wanted = flows ? kFlowingBytes : kWaitingBytes;
  if (buffer_bytes != wanted) {
    buffer = std::make_unique_for_overwrite<std::byte[]>(wanted);
    buffer_bytes = wanted;
  }
  auto size = co_await below->read_some({buffer.get(), buffer_bytes});
  if (!size) co_return propagate(size);
  flows = *size == buffer_bytes || *size > kFlowingBytes / 8;
  engine->feed({buffer.get(), *size});
  co_return *size > 0;
}

Task<Result<>> TlsStream::State::flush() {
  Result<> written;
  {
    Flag busy(flushing);
    while (written && engine->output_bytes() > 0) {
      auto output = engine->take_output();
      written = co_await below->write_all(output);
    }
  }
  flushed.notify();
  co_return written;
}

// For a writer: all that it gave is below when this returns.
Task<Result<>> TlsStream::State::flush_after_others() {
  while (flushing) {
    bool notified = co_await flushed.wait();
    if (!notified)
      co_return fail("write to", kWhat, "the wait was cancelled", "", ErrorKind::kClosed);
  }
  co_return co_await flush();
}

Task<Result<>> TlsStream::State::handshake() {
  for (;;) {
    auto state = engine->handshake();
    auto sent = co_await flush();
    if (!state) {  // the alert is out
      co_await linger(*below, kLingerBytes, kLingerLimit);
      co_return propagate(state);
    }
    if (!sent) co_return sent;
    if (*state == TlsEngine::State::kReady) co_return Result<>();
    auto received = co_await receive();
    if (!received) co_return propagate(received);
    if (!*received)
      co_return fail("speak TLS over", "the connection", "the peer has ended it", "",
                     ErrorKind::kClosed);
  }
}

Task<> TlsStream::State::close() {
  engine->close();
  // Who does not get it finds the end of what is below.
  auto flushed_all = co_await flush_after_others();
  static_cast<void>(flushed_all);
  below->shutdown_write();
}

Task<Result<std::unique_ptr<TlsStream>>> TlsStream::accept(async::Stream& below,
                                                           std::vector<std::byte> received,
                                                           TlsServerSide side,
                                                           std::chrono::milliseconds limit) {
  auto engine = TlsEngine::make(std::move(side));
  if (!engine) co_return propagate(engine);
  auto state = std::make_shared<State>();
  state->below = &below;
  state->engine = std::move(*engine);
  state->given = std::move(received);
  state->engine->feed(state->given);
  co_return co_await open(std::move(state), limit);
}

Task<Result<std::unique_ptr<TlsStream>>> TlsStream::connect(std::unique_ptr<async::Stream> below,
                                                            TlsClientSide side,
                                                            std::chrono::milliseconds limit) {
  auto engine = TlsEngine::make(side);
  if (!engine) co_return propagate(engine);
  auto state = std::make_shared<State>();
  state->below = below.get();
  state->owned = std::move(below);
  state->engine = std::move(*engine);
  co_return co_await open(std::move(state), limit);
}

Task<Result<std::unique_ptr<TlsStream>>> TlsStream::open(std::shared_ptr<State> state,
                                                         std::chrono::milliseconds limit) {
  auto shaken = co_await async::with_limit(limit, state->handshake());
  if (!shaken) {
    state->below->reset();
    co_return fail("speak TLS over", "the connection", "the handshake took too long", "",
                   ErrorKind::kTimeout);
  }
  if (!*shaken) {
    state->below->reset();
    co_return propagate(*shaken);
  }
  auto executor = co_await boost::asio::this_coro::executor;
  co_return std::unique_ptr<TlsStream>(new TlsStream(executor, std::move(state)));
}

TlsStream::TlsStream(const boost::asio::any_io_executor& executor, std::shared_ptr<State> state)
    : state_(std::move(state)), closing_(executor) {}

TlsStream::~TlsStream() {
  if (!state_->read_ended || !state_->write_ended || !closing_.empty()) state_->below->reset();
}

std::string TlsStream::protocol() const {
  return state_->engine->protocol();
}

Task<Result<std::size_t>> TlsStream::read_some(std::span<std::byte> buffer) {
  auto state = state_;
  while (!state->read_ended) {
    std::size_t size = 0;
    auto read = state->engine->read(buffer, size);
    if (state->engine->output_bytes() > kMostUnreadBytes + kPieceBytes * 2) {
      state->below->reset();
      co_return fail("read from", kWhat, "the peer asks for more answers than it reads", "",
                     ErrorKind::kInvalid);
    }
    if (state->engine->output_bytes() > 0 && !state->flushing) {
      auto sent = co_await state->flush();
      if (!sent && read) co_return propagate(sent);
    }
    if (!read) co_return propagate(read);
    if (*read == TlsEngine::State::kReady) co_return size;
    if (*read == TlsEngine::State::kEnded) break;
    auto received = co_await state->receive();
    if (!received) co_return propagate(received);
    if (!*received) co_return fail("read from", kWhat, "it was cut off", "", ErrorKind::kClosed);
  }
  state->read_ended = true;
  co_return std::size_t{0};
}

Task<Result<>> TlsStream::write_all(std::span<const std::byte> data) {
  auto state = state_;
  if (state->write_ended)
    co_return fail("write to", kWhat, "it was shut down for writing before", "",
                   ErrorKind::kClosed);
  Result<> written;
  {
    Flag busy(state->writing);
    while (written && !data.empty()) {
      // Encrypted only when what came before is on its way, so that memory is bounded.
      while (written && !data.empty() && state->engine->output_bytes() < kPieceBytes) {
        auto size = state->engine->write(data);
        if (!size)
          written = propagate(size);
        else
          data = data.subspan(*size);
      }
      if (written) written = co_await state->flush_after_others();
    }
  }
  if (state->write_ended) start_closing();
  co_return written;
}

void TlsStream::shutdown_write() {
  if (std::exchange(state_->write_ended, true)) return;
  if (!state_->writing) start_closing();
}

void TlsStream::start_closing() {
  auto close = [](std::shared_ptr<State> state) -> Task<> { co_await state->close(); };
  closing_.spawn(close(state_));
}

void TlsStream::reset() {
  state_->write_ended = true;
  state_->below->reset();
}

Task<bool> TlsStream::closed() {
  co_await closing_.join();
  co_return true;
}

Task<> TlsStream::finish(std::chrono::milliseconds limit) {
  shutdown_write();
  auto in_time = co_await async::with_limit(limit, closed());
  if (!in_time) state_->below->reset();
}

}  // namespace capsem::host::net
