#include "guest/pty-agent/argument_limits.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

#include "base/text.h"

namespace capsem::guest::pty_agent {
namespace {

// Of one argument or variable with its NUL: MAX_ARG_STRLEN of linux/binfmts.h, 32 pages.
constexpr std::size_t kLongestBytes = 128 << 10;

// Of a variable's name in an error.
constexpr std::size_t kShownBytes = 64;

// Of all together: bprm_stack_limits() of fs/exec.c.
std::uint64_t total_limit_bytes() {
  constexpr std::uint64_t kMost = 6 << 20;     // _STK_LIM / 4 * 3
  constexpr std::uint64_t kLeast = 128 << 10;  // ARG_MAX
  rlimit stack{};
  if (::getrlimit(RLIMIT_STACK, &stack) != 0) return kLeast;
  return std::max(std::min<std::uint64_t>(kMost, stack.rlim_cur / 4), kLeast);
}

// Each with its NUL and the pointer to it.
std::uint64_t total_bytes(std::span<const std::string> words) {
  std::uint64_t total = 0;
  for (const auto& word : words) total += word.size() + 1 + sizeof(char*);
  return total;
}

std::string in_numbers(std::uint64_t bytes, std::uint64_t limit) {
  return std::to_string(bytes) + " bytes, and Linux allows " + std::to_string(limit);
}

}  // namespace

std::string why_too_long(const std::string& program, std::span<const std::string> arguments,
                         std::span<const std::string> environment) {
  constexpr std::size_t kLongest = kLongestBytes - 1;  // as a user counts, without the NUL
  for (const auto& word : arguments)
    if (word.size() > kLongest)
      return "one of its arguments has " + in_numbers(word.size(), kLongest) +
             "; pass it on standard input or in a file";
  for (const auto& variable : environment)
    if (variable.size() > kLongest)
      return "the variable " +
             printable(variable.substr(0, std::min(variable.find('='), kShownBytes))) +
             " of its environment has " + in_numbers(variable.size(), kLongest);
  auto total = total_bytes(arguments) + total_bytes(environment) + program.size() + 1;
  return "its arguments and environment have " + in_numbers(total, total_limit_bytes()) +
         "; pass them on standard input or in a file";
}

}  // namespace capsem::guest::pty_agent
