// The last lines of a text that arrives in pieces and may be hostile: what the guest prints on its
// console, and what QEMU says on stderr.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace capsem::async {

// Cuts a byte stream into lines and keeps the last of them. Memory is bounded by the limits below
// whatever arrives, and every line handed out has gone through printable().
class LineTail {
 public:
  static constexpr std::size_t kMaxLines = 400;
  static constexpr std::size_t kMaxLineBytes = 1024;  // a longer line is cut into several

  using Handler = std::function<void(std::string_view line)>;

  // Called with each line once it is complete; an empty handler for none.
  void on_line(Handler handler) { handler_ = std::move(handler); }

  void feed(std::string_view bytes);

  // The last lines, at most `count`, oldest first; a line that has begun but not ended is one.
  // Empty lines are left out.
  std::vector<std::string> last(std::size_t count) const;

 private:
  void finish_line();

  Handler handler_;
  std::deque<std::string> lines_;
  std::string partial_;  // as it came
};

}  // namespace capsem::async
