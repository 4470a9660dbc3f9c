#include "guest/init/control_link.h"

#include <algorithm>

namespace capsem::guest::init {

Result<> ControlLink::open(Clock::time_point now) {
  due_ = now + delay_;
  delay_ = std::min<Clock::duration>(delay_ * 2, kLongestDelay);
  auto socket = connect_();
  if (!socket) return propagate(socket);
  auto control = Control::greet(std::move(*socket), hello_());
  if (!control) return propagate(control);
  control_ = std::move(*control);
  opened_ = now;
  due_.reset();
  for (auto events = std::move(waiting_); const auto& event : events) send(event, now);
  return {};
}

void ControlLink::send(const wire::ServiceEvent& event, Clock::time_point now) {
  if (control_ && control_->send(event)) return;
  lose(now);
  waiting_.push_back(event);
  if (waiting_.size() > kMostWaiting) waiting_.pop_front();
}

void ControlLink::send(const wire::Heartbeat& heartbeat, Clock::time_point now) {
  if (control_ && !control_->send(heartbeat)) lose(now);
}

void ControlLink::renew(Clock::time_point now) {
  if (!control_) return;  // said with the next connection anyway
  control_.reset();
  // When it fails the next attempt is due.
  [[maybe_unused]] auto opened = open(now);
}

Result<> ControlLink::receive(Clock::time_point now, const Handle& handle) {
  auto received = control_->receive(handle);
  if (!received) lose(now);
  return received;
}

void ControlLink::lose(Clock::time_point now) {
  if (!control_) return;
  control_.reset();
  if (now - opened_ >= kWellAfter) delay_ = kFirstDelay;
  due_ = now + delay_;
}

}  // namespace capsem::guest::init
