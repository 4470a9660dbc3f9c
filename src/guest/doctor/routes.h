// The routes of a network namespace, as /proc/net tells of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace capsem::guest::doctor {

// The destinations of those that lead anywhere, in the kernel's own hexadecimal: neither what is
// unreachable nor this namespace's own addresses. `text` is that of /proc/net/route or
// /proc/net/ipv6_route.
std::vector<std::string> ipv4_destinations(std::string_view text);
std::vector<std::string> ipv6_destinations(std::string_view text);

}  // namespace capsem::guest::doctor
