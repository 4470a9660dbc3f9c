// The data of server-sent events (HTML, section 9.2), in pieces as they come and are cut.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace capsem::audit {

class EventStream {
 public:
  // `on_data` is called with each piece of an event's data, `on_end` behind an event's last.
  EventStream(std::function<void(std::string_view)> on_data, std::function<void()> on_end)
      : on_data_(std::move(on_data)), on_end_(std::move(on_end)) {}

  void feed(std::string_view piece);

 private:
  enum class State {
    kField,  // in the name of a field
    kSpace,  // where one space may stand before the value
    kData,
    kSkip,  // in a line that is no data
  };

  void take_field(char c);
  void end_line();

  std::function<void(std::string_view)> on_data_;
  std::function<void()> on_end_;
  State state_ = State::kField;
  std::string field_;
  bool has_data_ = false;
  bool after_return_ = false;  // a line feed behind a carriage return ends the same line
};

}  // namespace capsem::audit
