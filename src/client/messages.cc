#include "client/messages.h"

#include <utility>

#include "base/fd.h"
#include "base/log_line.h"

namespace capsem::client {

void Messages::say(std::string_view text) {
  put(log_line(text));
}

void Messages::warn(std::string_view text) {
  say("warning: " + std::string(text));
}

void Messages::put(std::string line) {
  if (lines_.size() >= kMaxMessages) {
    ++left_out_;
    return;
  }
  lines_.push_back(std::move(line));
  changed_.notify();
}

void Messages::hold(bool held) {
  held_ = held;
  changed_.notify();
}

Task<> Messages::run() {
  for (;;) {
    while (held_ || lines_.empty()) co_await changed_.wait();
    auto written = co_await output_.write_all(as_bytes(lines_.front()));
    // Cut short it stays with the rest: pipes take a short line whole or not at all (pipe(7),
    // PIPE_BUF). A reader that is gone can be told nothing.
    bool cut_short = !written && written.error().kind() == ErrorKind::kInterrupted;
    if (!cut_short) lines_.pop_front();
  }
}

std::string Messages::rest() const {
  std::string text;
  for (const auto& line : lines_) text += line;
  if (left_out_ > 0)
    text += log_line("warning: " + std::to_string(left_out_) + " more messages were left out");
  return text;
}

}  // namespace capsem::client
