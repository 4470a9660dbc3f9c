#include "audit/event_stream.h"

namespace capsem::audit {
namespace {

constexpr std::string_view kDataField = "data";
constexpr std::string_view kLineEnds = "\r\n";

}  // namespace

void EventStream::feed(std::string_view piece) {
  while (!piece.empty()) {
    char c = piece.front();
    bool is_end = kLineEnds.contains(c);
    if (std::exchange(after_return_, c == '\r') && c == '\n') {
      piece.remove_prefix(1);
    } else if (is_end) {
      end_line();
      piece.remove_prefix(1);
    } else if (state_ == State::kField) {
      take_field(c);
      piece.remove_prefix(1);
    } else if (state_ == State::kSpace) {
      state_ = State::kData;
      if (c == ' ') piece.remove_prefix(1);
    } else {
      auto text = piece.substr(0, piece.find_first_of(kLineEnds));
      if (state_ == State::kData) on_data_(text);
      piece.remove_prefix(text.size());
    }
  }
}

void EventStream::take_field(char c) {
  if (c != ':') {
    if (field_.size() <= kDataField.size()) field_ += c;
    return;
  }
  state_ = field_ == kDataField ? State::kSpace : State::kSkip;
  if (state_ != State::kSpace) return;
  // Lines of data are one text, with a line feed between them.
  if (has_data_) on_data_("\n");
  has_data_ = true;
}

void EventStream::end_line() {
  if (state_ == State::kField && field_.empty()) {
    if (has_data_) on_end_();
    has_data_ = false;
  }
  state_ = State::kField;
  field_.clear();
}

}  // namespace capsem::audit
