#include "host/events.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace capsem::host {
namespace {

// How many of the first `limit` bytes of longer UTF-8 are whole characters.
std::size_t whole_characters(std::string_view text, std::size_t limit) {
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80) --limit;
  return limit;
}

}  // namespace

Events::Events(const boost::asio::any_io_executor& executor, std::function<Clock::time_point()> now)
    : executor_(executor), now_(std::move(now)), refilled_(now_()), published_(executor) {}

void Events::publish(api::EventKind kind, std::string text) {
  if (text.size() > kMaxTextBytes) text.resize(whole_characters(text, kMaxTextBytes));
  auto at = std::chrono::duration_cast<std::chrono::microseconds>(now_().time_since_epoch());
  ring_.push_back({.sequence = ++last_,
                   .dropped = std::exchange(dropped_, 0),
                   .at_us = static_cast<std::uint64_t>(at.count()),
                   .kind = kind,
                   .text = std::move(text)});
  if (ring_.size() > kMaxEvents) ring_.pop_front();
  std::exchange(published_, async::Latch(executor_)).set();
}

void Events::publish_for_guest(api::EventKind kind, std::string text) {
  if (take_from_guest())
    publish(kind, std::move(text));
  else
    ++dropped_;
}

bool Events::take_from_guest() {
  auto now = now_();
  auto earned = (now - refilled_) / kGuestInterval;
  if (earned > 0) {
    refilled_ += earned * kGuestInterval;
    guest_tokens_ = static_cast<unsigned>(std::min<std::int64_t>(
        kGuestBurst, guest_tokens_ + std::min<std::int64_t>(earned, kGuestBurst)));
  }
  if (guest_tokens_ == 0) return false;
  --guest_tokens_;
  return true;
}

std::vector<api::Event> Events::after(std::uint64_t since) const {
  std::vector<api::Event> found;
  for (const auto& event : ring_)
    if (event.sequence > since) found.push_back(event);
  return found;
}

Task<> Events::more(std::uint64_t since) {
  while (last_ <= since) {
    auto published = published_;
    co_await published.wait();
  }
}

}  // namespace capsem::host
