// The last of what a session has put out, to be shown on a terminal that is attached to it later.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace capsem::guest::pty_agent {

// What can be shown again; twice as much is held.
inline constexpr std::size_t kLastOutputBytes = 64 << 10;

class LastOutput {
 public:
  void add(std::string_view output);

  // At most kLastOutputBytes, from the beginning of a line on, or of a character where no line
  // begins. Without the questions to the terminal that programs ask by control sequences: it has
  // answered once, and a second answer would reach the command as if it had been typed.
  std::string text() const;

 private:
  std::string held_;
  bool cut_ = false;  // what came before held_ is gone
};

// `output` without questions to the terminal. What is not complete at its end stays.
std::string without_questions(std::string_view output);

}  // namespace capsem::guest::pty_agent
