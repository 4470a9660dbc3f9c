// A question to the person at a terminal that is a session's: while it is shown, the session's
// output waits and a key is its answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "async/event.h"

namespace capsem::client {

class Prompt {
 public:
  // A key that is typed sooner was meant for what was on the screen before.
  static constexpr std::chrono::milliseconds kNoticed{500};

  // `keys` are the answers; `on_answer` is called when there is one.
  Prompt(std::string keys, std::function<void()> on_answer)
      : keys_(std::move(keys)), on_answer_(std::move(on_answer)) {}

  // Asks. `text` is safe to print, its lines end as those of a raw terminal do.
  void ask(std::string text);
  // The question is over; `text` is what became of it.
  void end(std::string text);
  std::optional<char> take_answer() { return std::exchange(answer_, std::nullopt); }

  // ---- for the session

  // Notified when one of the below is another one.
  async::Event& changed() { return changed_; }
  bool asks() const { return asks_; }
  std::uint64_t number() const { return number_; }  // of the question
  const std::string& text() const { return text_; }
  const std::string& end_text() const { return end_text_; }

  // The question is on the screen, and not any more.
  void set_shown(bool shown);
  bool shown() const { return shown_since_.has_value(); }
  // What was typed at once. False for what is not the question's.
  bool type(std::string_view input);

 private:
  using Clock = std::chrono::steady_clock;

  std::string keys_;
  std::function<void()> on_answer_;
  async::Event changed_;
  bool asks_ = false;
  std::uint64_t number_ = 0;
  std::string text_;
  std::string end_text_;
  std::optional<Clock::time_point> shown_since_;
  std::optional<char> answer_;
};

}  // namespace capsem::client
