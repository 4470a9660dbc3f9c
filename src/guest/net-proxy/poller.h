// epoll(7) for sources that come and go: what is told of one that is gone meanwhile is passed over
// by its number, which no other has again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::net_proxy {

class Poller {
 public:
  static Result<Poller> create();

  struct Event {
    std::uint64_t source;
    std::uint32_t events;  // EPOLLIN and the like
  };

  // Has `fd` watched for `events` in place of those before, `watched`, which is changed; none at
  // all when they are 0, so that an end or an error is not told over and over either.
  void watch(int fd, std::uint64_t source, std::uint32_t events, std::uint32_t& watched) const;

  // What happened, waited for no longer than `limit`. Valid until the next call.
  Result<std::vector<Event>> wait(std::optional<std::chrono::milliseconds> limit) const;

 private:
  explicit Poller(Fd epoll) : epoll_(std::move(epoll)) {}
  Fd epoll_;
};

}  // namespace capsem::guest::net_proxy
