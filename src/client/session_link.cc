#include "client/session_link.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>
#include <variant>

#include "async/limit.h"
#include "base/fd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/protocol.h"

namespace capsem::client {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{1000};
// From the request for another stream to the guest's answer on it.
constexpr std::chrono::milliseconds kTryLimit{2000};
// What the guest is told at the very end only spares it from waiting for us.
constexpr std::chrono::milliseconds kLastWordLimit{1000};

constexpr std::size_t kMaxKeptBytes = 2 * (wire::kStdinWindowBytes + wire::kReceivedBytes);

Result<std::string> random_id() {
  std::array<std::byte, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_system("make", "the session's id", errno);
  return hex(bytes);
}

std::unexpected<Error> cannot_resume(std::string reason, ErrorKind kind) {
  return fail("resume", "the session", std::move(reason), "", kind);
}

// Another try would end the same.
bool is_final(const Error& error) {
  return error.kind() == ErrorKind::kClosed || error.kind() == ErrorKind::kInvalid;
}

bool is_last(const wire::GuestSession& message) {
  return std::holds_alternative<wire::Exited>(message) ||
         std::holds_alternative<wire::Failed>(message);
}

}  // namespace

Task<Result<wire::GuestSession>> receive_message(
    async::Stream& stream, wire::MessageDecoder<wire::GuestSession>& decoder) {
  for (;;) {
    auto message = decoder.next();
    if (!message) co_return propagate(message);
    if (*message) co_return std::move(**message);
    auto size = co_await stream.read_some(decoder.prepare());
    if (!size) co_return propagate(size, "follow", "the session");
    if (*size == 0)
      co_return fail("follow", "the session",
                     "the guest closed the connection before the command's end", "",
                     ErrorKind::kClosed);
    decoder.commit(*size);
  }
}

// ---- to the guest

Result<> SessionLink::start(wire::SessionStart start, Reopen reopen) {
  start.protocol = wire::kProtocol;
  if (reopen && start.outlive_ms > 0) {
    auto id = random_id();
    if (!id) return propagate(id);
    start.id = id_ = std::move(*id);
    outlive_ = std::chrono::milliseconds(start.outlive_ms);
  }
  auto frame = wire::encode(wire::HostSession(std::move(start)));
  if (!frame) return propagate(frame);
  waiting_ += *frame;
  // Only now, since the first message does not count.
  if (outlive_.count() > 0) reopen_ = std::move(reopen);
  work_.notify();
  return {};
}

Result<> SessionLink::attach(wire::SessionAttach attach, std::chrono::milliseconds outlive,
                             Reopen reopen) {
  attach.protocol = wire::kProtocol;
  id_ = attach.id;
  outlive_ = outlive;
  auto frame = wire::encode(wire::HostSession(std::move(attach)));
  if (!frame) return propagate(frame);
  waiting_ += *frame;
  held_ = true;
  reopen_ = std::move(reopen);
  work_.notify();
  return {};
}

Result<> SessionLink::put(const wire::HostSession& message) {
  auto frame = wire::encode(message);
  if (!frame) return propagate(frame);
  if (stopped_) return {};
  if (!refused_ && !held_) waiting_ += *frame;
  if (outlives()) kept_.add(std::move(*frame));
  work_.notify();
  // What a guest that keeps to the rules leaves unconfirmed is less by far.
  if (kept_.bytes() > kMaxKeptBytes)
    return fail("follow", "the session", "the guest takes input and never says that it arrived", "",
                ErrorKind::kInvalid);
  return {};
}

Task<> SessionLink::run() {
  while (!stopped_) {
    // One for all that arrived while the last was written. Not kept: the next one says as much.
    if (std::exchange(confirmation_due_, false) && !refused_)
      waiting_ += wire::encode(wire::HostSession(wire::Received{received_})).value_or("");
    if (waiting_.empty()) {
      idle_.notify();
      flushed_.notify();
      co_await work_.wait();
      continue;
    }
    std::string batch = std::exchange(waiting_, {});
    writing_ = true;
    auto written = co_await stream_->write_all(as_bytes(batch));
    writing_ = false;
    if (written) continue;
    refused_ = true;
    waiting_.clear();
  }
  idle_.notify();
  flushed_.notify();
}

Task<> SessionLink::flush() {
  while (!waiting_.empty() || writing_) {
    auto written = co_await async::with_limit(kLastWordLimit, flushed_.wait());
    if (!written || stopped_) co_return;
  }
}

void SessionLink::stop() {
  stopped_ = true;
  work_.notify();
  pause_.cancel();
  stream_->reset();
}

// ---- from the guest

Task<Result<wire::GuestSession>> SessionLink::next() {
  for (;;) {
    auto message = co_await receive_message(*stream_, decoder_);
    if (!outlives()) co_return message;
    if (message) {
      known_ = true;
      if (const auto* attached = std::get_if<wire::Attached>(&*message)) {
        attachment_ = attached->attachment;
        if (std::exchange(held_, false)) waiting_ += kept_.frames();
        work_.notify();
        co_return message;
      }
      if (std::holds_alternative<wire::TakenOver>(*message)) co_return message;
      const auto* received = std::get_if<wire::Received>(&*message);
      if (received == nullptr) {
        ++received_;
        co_await confirm_received(is_last(*message));
        co_return message;
      }
      auto confirmed = kept_.confirm(received->messages);
      if (!confirmed) co_return propagate(confirmed);
      continue;
    }
    if (message.error().kind() == ErrorKind::kInvalid || !known_ || stopped_) co_return message;
    auto resumed = co_await resume(std::move(message).error());
    if (!resumed) co_return propagate(resumed);
  }
}

Task<> SessionLink::confirm_received(bool last) {
  if (!last && decoder_.bytes() - confirmed_bytes_ < wire::kReceivedBytes) co_return;
  confirmed_bytes_ = decoder_.bytes();
  confirmation_due_ = true;
  work_.notify();
  if (!last) co_return;
  while (confirmation_due_ || !waiting_.empty() || writing_) {
    auto idle = co_await async::with_limit(kLastWordLimit, idle_.wait());
    if (!idle || stopped_) co_return;
  }
}

// ---- a lost connection

Task<Result<>> SessionLink::resume(Error lost) {
  auto deadline = Clock::now() + outlive_;
  stream_->reset();
  refused_ = true;
  waiting_.clear();
  // A stream that is written to must not go.
  while (writing_) co_await idle_.wait();
  if (stopped_) co_return std::unexpected(std::move(lost));
  for (auto pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    auto next = co_await try_for(std::clamp(left, kFirstPause, kTryLimit));
    if (stopped_) co_return std::unexpected(std::move(lost));
    if (next) co_return go_on_over(std::move(*next));
    if (is_final(next.error())) co_return propagate(next);
    if (Clock::now() + pause >= deadline) co_return std::unexpected(std::move(lost));
    pause_.expires_after(pause);
    boost::system::error_code cancelled;
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (stopped_) co_return std::unexpected(std::move(lost));
  }
}

// One try, cut short by the limit, which is none of is_final(), and by stop().
Task<Result<SessionLink::Resumed>> SessionLink::try_for(std::chrono::milliseconds limit) {
  using asio::experimental::awaitable_operators::operator||;
  pause_.expires_after(limit);
  boost::system::error_code cancelled;
  auto first = co_await (try_stream() ||
                         pause_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled)));
  if (first.index() == 0) co_return std::move(std::get<0>(first));
  co_return cannot_resume("the guest does not answer", ErrorKind::kTimeout);
}

Task<Result<SessionLink::Resumed>> SessionLink::try_stream() {
  auto stream = co_await reopen_();
  if (!stream) co_return propagate(stream);
  auto frame = wire::encode(wire::HostSession(
      wire::SessionResume{.id = id_, .received = received_, .attachment = attachment_}));
  if (!frame) co_return propagate(frame);
  auto written = co_await (*stream)->write_all(as_bytes(*frame));
  if (!written) co_return cannot_resume(written.error().message(), ErrorKind::kOther);
  wire::MessageDecoder<wire::GuestSession> decoder;
  auto answer = co_await receive_message(**stream, decoder);
  if (!answer && answer.error().kind() == ErrorKind::kInvalid) co_return propagate(answer);
  if (!answer) co_return cannot_resume(answer.error().message(), ErrorKind::kOther);
  if (const auto* failed = std::get_if<wire::Failed>(&*answer))
    co_return cannot_resume(printable(failed->text), failed->shell_code == wire::kNoSuchSession
                                                         ? ErrorKind::kClosed
                                                         : ErrorKind::kOther);
  const auto* resumed = std::get_if<wire::Resumed>(&*answer);
  if (resumed == nullptr)
    co_return cannot_resume("the agent in the guest answers something else", ErrorKind::kInvalid);
  co_return Resumed{std::move(*stream), std::move(decoder), resumed->received};
}

Result<> SessionLink::go_on_over(Resumed next) {
  if (auto confirmed = kept_.confirm(next.received); !confirmed) return confirmed;
  reopened_ = std::move(next.stream);
  stream_ = reopened_.get();
  decoder_ = std::move(next.decoder);
  confirmed_bytes_ = 0;
  refused_ = false;
  waiting_ = kept_.frames();
  work_.notify();
  return {};
}

}  // namespace capsem::client
