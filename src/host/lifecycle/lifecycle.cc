#include "host/lifecycle/lifecycle.h"

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "async/limit.h"
#include "base/fd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::host {
namespace {

namespace asio = boost::asio;

constexpr const char* kNothingPending = "no shutdown is pending";

wire::LifecycleAnswer refused(std::string reason) {
  return {.accepted = false, .text = std::move(reason)};
}

// "1 h 30 min", "59 s"
std::string in_words(Lifecycle::Milliseconds time) {
  using std::chrono::ceil, std::chrono::seconds;
  auto left = ceil<seconds>(time).count();
  if (left < 120) return std::to_string(left) + " s";
  auto minutes = (left + 59) / 60;
  std::string text;
  if (minutes >= 60) text = std::to_string(minutes / 60) + " h";
  if (minutes % 60 != 0) text += (text.empty() ? "" : " ") + std::to_string(minutes % 60) + " min";
  return text;
}

// The first message; nothing when the guest sends anything else, or ends before.
Task<std::optional<wire::LifecycleRequest>> receive(async::Stream& stream) {
  wire::MessageDecoder<wire::GuestLifecycle> decoder;
  for (;;) {
    auto message = decoder.next();
    if (!message) co_return std::nullopt;
    if (*message) co_return std::get<wire::LifecycleRequest>(std::move(**message));
    auto size = co_await stream.read_some(decoder.prepare(wire::kTextBytes));
    if (!size || *size == 0) co_return std::nullopt;
    decoder.commit(*size);
  }
}

}  // namespace

Lifecycle::Lifecycle(const asio::any_io_executor& executor, Handlers handlers)
    : handlers_(std::move(handlers)), timer_(executor, Clock::time_point::max()) {}

Task<> Lifecycle::serve(std::unique_ptr<async::Stream> stream) {
  auto request = co_await async::with_limit(kRequestLimit, receive(*stream));
  if (!request || !*request) co_return;
  auto frame = wire::encode<wire::HostLifecycle>(answer(**request));
  if (!frame) co_return;
  auto sent = co_await stream->write_all(as_bytes(*frame));
  if (!sent) co_return;
  // Until the guest closes it, or is gone; there is nothing more that it could say.
  std::array<std::byte, 1> rest{};
  auto more = co_await stream->read_some(rest);
  static_cast<void>(more);
}

Task<> Lifecycle::run() {
  for (;;) {
    boost::system::error_code changed;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, changed));
    if (!pending_ || Clock::now() < pending_->due) continue;
    auto due = *pending_;
    keep(std::nullopt);
    handlers_.end(due.action, due.grace);
  }
}

void Lifecycle::keep(std::optional<Pending> pending) {
  pending_ = pending;
  timer_.expires_at(pending_ ? pending_->due : Clock::time_point::max());
}

wire::LifecycleAnswer Lifecycle::answer(const wire::LifecycleRequest& request) {
  switch (request.action) {
    case wire::LifecycleAction::kPoweroff:
    case wire::LifecycleAction::kReboot:
      return end_or_keep(request);
    case wire::LifecycleAction::kSuspend:
      return refused("this host cannot suspend a VM yet");
    case wire::LifecycleAction::kCancel:
      return cancel();
    case wire::LifecycleAction::kShow:
      break;
  }
  return {.accepted = true, .text = pending_in_words()};
}

wire::LifecycleAnswer Lifecycle::end_or_keep(const wire::LifecycleRequest& request) {
  constexpr auto kMaxDelayMs = static_cast<std::uint64_t>(kMaxDelay.count());
  if (request.delay_ms > kMaxDelayMs) return refused("a shutdown is kept for a year at most");
  if (request.grace_ms > kMaxGrace.count()) return refused("a grace is an hour at most");
  Pending wanted{.action = request.action == wire::LifecycleAction::kReboot
                               ? wire::ShutdownAction::kReboot
                               : wire::ShutdownAction::kPoweroff,
                 .grace = Milliseconds(request.grace_ms),
                 .due = Clock::now() + Milliseconds(request.delay_ms)};
  if (request.delay_ms == 0) {
    keep(std::nullopt);
    handlers_.end(wanted.action, wanted.grace);
    return {.accepted = true, .text = ""};
  }
  keep(wanted);
  auto text = pending_in_words();
  auto message = printable(request.message.substr(0, kMaxMessageBytes));
  handlers_.tell(message.empty() ? text : text + ": " + message);
  return {.accepted = true, .text = std::move(text)};
}

wire::LifecycleAnswer Lifecycle::cancel() {
  if (!pending_) return {.accepted = true, .text = kNothingPending};
  keep(std::nullopt);
  handlers_.tell("the guest goes on: its shutdown was cancelled");
  return {.accepted = true, .text = "the shutdown is cancelled"};
}

std::string Lifecycle::pending_in_words() const {
  if (!pending_) return kNothingPending;
  auto left = std::max(pending_->due - Clock::now(), Clock::duration::zero());
  bool reboots = pending_->action == wire::ShutdownAction::kReboot;
  return std::string(reboots ? "the guest is rebooted in " : "the guest is switched off in ") +
         in_words(std::chrono::ceil<Milliseconds>(left));
}

}  // namespace capsem::host
