// What happened to a VM, for whoever asks: a bounded ring. What the guest causes is limited in rate
// too, and what is left out is counted.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "api/types.h"
#include "async/latch.h"
#include "async/task.h"

namespace capsem::host {

class Events {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::size_t kMaxEvents = 256;
  static constexpr std::size_t kMaxTextBytes = 1024;  // a longer text is cut between characters
  // Of events that the guest causes: so many at once, and one more each interval.
  static constexpr unsigned kGuestBurst = 32;
  static constexpr std::chrono::milliseconds kGuestInterval{250};

  explicit Events(const boost::asio::any_io_executor& executor,
                  std::function<Clock::time_point()> now = Clock::now);

  // `text` is one line that is safe to print.
  void publish(api::EventKind kind, std::string text);
  // The same for what the guest caused: dropped, and counted, past its rate.
  void publish_for_guest(api::EventKind kind, std::string text);

  // Those kept with a larger sequence number than `since`, oldest first.
  std::vector<api::Event> after(std::uint64_t since) const;

  // Waits until there is one with a larger number than `since`.
  Task<> more(std::uint64_t since);

 private:
  bool take_from_guest();

  boost::asio::any_io_executor executor_;
  std::function<Clock::time_point()> now_;
  std::deque<api::Event> ring_;
  std::uint64_t last_ = 0;
  std::uint64_t dropped_ = 0;  // since the last one kept
  unsigned guest_tokens_ = kGuestBurst;
  Clock::time_point refilled_;
  async::Latch published_;  // set, and replaced, by each event
};

}  // namespace capsem::host
