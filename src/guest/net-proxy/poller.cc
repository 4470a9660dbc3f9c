#include "guest/net-proxy/poller.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

namespace capsem::guest::net_proxy {

Result<Poller> Poller::create() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_system("watch", "connections", errno);
  return Poller(std::move(epoll));
}

void Poller::watch(int fd, std::uint64_t source, std::uint32_t events,
                   std::uint32_t& watched) const {
  if (events == watched) return;
  epoll_event event{.events = events, .data = {.u64 = source}};
  int operation = EPOLL_CTL_MOD;
  if (watched == 0) operation = EPOLL_CTL_ADD;
  if (events == 0) operation = EPOLL_CTL_DEL;
  // Without memory for it, the next change tries again.
  if (::epoll_ctl(epoll_.get(), operation, fd, &event) == 0) watched = events;
}

Result<std::vector<Poller::Event>> Poller::wait(
    std::optional<std::chrono::milliseconds> limit) const {
  std::array<epoll_event, 64> happened;
  int n = ::epoll_wait(epoll_.get(), happened.data(), happened.size(),
                       limit ? static_cast<int>(limit->count()) : -1);
  if (n < 0 && errno != EINTR) return fail_system("wait for", "connections", errno);
  std::vector<Event> events;
  for (int i = 0; i < n; ++i)
    events.push_back({happened.at(static_cast<std::size_t>(i)).data.u64,
                      happened.at(static_cast<std::size_t>(i)).events});
  return events;
}

}  // namespace capsem::guest::net_proxy
