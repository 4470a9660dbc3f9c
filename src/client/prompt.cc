#include "client/prompt.h"

namespace capsem::client {

void Prompt::ask(std::string text) {
  ++number_;
  asks_ = true;
  text_ = std::move(text);
  answer_.reset();
  shown_since_.reset();  // that was another one
  changed_.notify();
}

void Prompt::end(std::string text) {
  if (!std::exchange(asks_, false)) return;
  end_text_ = std::move(text);
  changed_.notify();
}

void Prompt::set_shown(bool shown) {
  shown_since_.reset();
  if (shown) shown_since_ = Clock::now();
}

// A key comes by itself: what comes along with more was pasted, or is a key that sends a sequence.
bool Prompt::type(std::string_view input) {
  if (!shown_since_ || Clock::now() - *shown_since_ < kNoticed) return false;
  bool answers = input.size() == 1 && keys_.find(input.front()) != std::string::npos;
  if (answers && asks_ && !answer_) {
    answer_ = input.front();
    on_answer_();
  }
  return true;
}

}  // namespace capsem::client
