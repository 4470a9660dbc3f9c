#include "async/latch.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

namespace capsem::async {

namespace asio = boost::asio;

struct Latch::State {
  asio::any_io_executor executor;
  bool set = false;
  std::list<asio::steady_timer*> waiting;
};

// A timer's place in the list, given up also when the waiting coroutine is destroyed.
class Latch::Place {
 public:
  Place(State& state, asio::steady_timer& timer)
      : state_(state), place_(state.waiting.insert(state.waiting.end(), &timer)) {}
  ~Place() { state_.waiting.erase(place_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  State& state_;
  std::list<asio::steady_timer*>::iterator place_;
};

Latch::Latch(const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(State{.executor = executor})) {}

void Latch::set() {
  state_->set = true;
  for (auto* timer : state_->waiting) timer->cancel();
}

bool Latch::is_set() const {
  return state_->set;
}

Task<bool> Latch::wait(std::chrono::milliseconds limit) {
  return wait_on(state_, limit);
}

Task<bool> Latch::wait_on(std::shared_ptr<State> state, std::chrono::milliseconds limit) {
  if (state->set) co_return true;
  asio::steady_timer timer(state->executor);
  if (limit == kNoLimit)
    timer.expires_at(asio::steady_timer::time_point::max());
  else
    timer.expires_after(limit);
  Place place(*state, timer);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return state->set;
}

}  // namespace capsem::async
