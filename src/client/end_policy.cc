#include "client/end_policy.h"

#include <signal.h>

#include <array>
#include <cstdio>

#include "base/signals.h"

namespace capsem::client {
namespace {

std::string in_seconds(std::chrono::milliseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g s", std::chrono::duration<double>(time).count());
  return text.data();
}

}  // namespace

void EndPolicy::on_started(Clock::time_point now) {
  if (time_limit_ && asked_by_ == 0) deadline_ = now + *time_limit_;
}

EndPolicy::Decision EndPolicy::on_signal(int number, Clock::time_point now) {
  bool again = asked_by_ != 0;
  asked_by_ = number;
  if (has_terminal_ || again || grace_.count() == 0) {
    time_is_over_ = false;
    return {.end = true};
  }
  deadline_ = now + grace_;
  return {.forward = number};
}

EndPolicy::Decision EndPolicy::on_deadline(Clock::time_point now) {
  if (asked_by_ != 0) {
    grace_is_over_ = true;
    return {.end = true};
  }
  time_is_over_ = true;
  asked_by_ = SIGTERM;
  deadline_ = now + grace_;
  return {.forward = SIGTERM};
}

SessionEnd EndPolicy::forced_end() const {
  if (time_is_over_) return end_with({});
  SessionEnd end{.status = {.signal = asked_by_}, .message = {}};
  if (grace_is_over_)
    end.message = "cannot wait for the command any longer: it did not end within " +
                  in_seconds(grace_) + " of " + signal_name(asked_by_);
  return end;
}

SessionEnd EndPolicy::end_with(ExitStatus status) const {
  if (!time_is_over_) return {.status = status, .message = {}};
  std::string message =
      "cannot let the command go on: its time limit of " + in_seconds(*time_limit_) + " is over";
  if (grace_is_over_)
    message += ", and it did not end within " + in_seconds(grace_) + " of SIGTERM";
  return {.status = {.code = kTimeLimitStatus}, .message = std::move(message)};
}

}  // namespace capsem::client
