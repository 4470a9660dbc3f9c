#include "guest/doctor/routes.h"

#include <charconv>
#include <cstdint>

#include "base/text.h"

namespace capsem::guest::doctor {
namespace {

// include/uapi/linux/route.h, include/uapi/linux/ipv6_route.h
constexpr std::uint32_t kReject = 0x0200;     // RTF_REJECT
constexpr std::uint32_t kLocal = 0x80000000;  // RTF_LOCAL

constexpr std::string_view kLoopback6 = "00000000000000000000000000000001";

// net/ipv4/fib_trie.c: fib_route_seq_show(), net/ipv6/ip6_fib.c: ipv6_route_native_seq_show()
struct Columns {
  std::size_t destination;
  std::size_t flags;
  std::size_t lines_before;
};
constexpr Columns kIpv4{.destination = 1, .flags = 3, .lines_before = 1};
constexpr Columns kIpv6{.destination = 0, .flags = 8, .lines_before = 0};

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (auto part : split(line, ' '))
    for (auto word : split(part, '\t'))
      if (!word.empty()) words.push_back(word);
  return words;
}

bool leads_nowhere(const Columns& columns, const std::vector<std::string_view>& words) {
  std::uint32_t flags = 0;
  auto digits = words[columns.flags];
  std::from_chars(digits.data(), digits.data() + digits.size(), flags, 16);
  return (flags & (kReject | kLocal)) != 0 || words[columns.destination] == kLoopback6;
}

// A line that cannot be read is a destination: what nobody understands is no proof.
std::vector<std::string> destinations(const Columns& columns, std::string_view text) {
  std::vector<std::string> found;
  auto lines = split(text, '\n');
  for (std::size_t i = columns.lines_before; i < lines.size(); ++i) {
    auto words = words_of(lines[i]);
    if (words.empty()) continue;
    if (words.size() <= columns.flags)
      found.emplace_back(lines[i]);
    else if (!leads_nowhere(columns, words))
      found.emplace_back(words[columns.destination]);
  }
  return found;
}

}  // namespace

std::vector<std::string> ipv4_destinations(std::string_view text) {
  return destinations(kIpv4, text);
}

std::vector<std::string> ipv6_destinations(std::string_view text) {
  return destinations(kIpv6, text);
}

}  // namespace capsem::guest::doctor
