// Connections over vsock, as vsock(7) has them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capsem::guest::doctor {

// What connecting a stream to `port` of `cid` gives: 0 or an errno value. Ends within two seconds,
// the kernel's default limit.
int connect_vsock(std::uint32_t cid, std::uint32_t port);

// What the host says to `text` at this port until it closes the connection. Nothing when it could
// not be connected or was not closed within `limit`.
std::optional<std::string> answer_of_host(std::uint32_t port, std::string_view text,
                                          std::chrono::milliseconds limit);

// Whether that is the answer of a host that has nothing at this port, or wants no connection.
bool is_refusal(int error);

// "it connected", or the reason.
std::string in_words(int error);

struct PortScan {
  std::vector<std::uint32_t> connected;
  std::vector<std::uint32_t> unanswered;
  std::uint32_t refused = 0;
};

// Connects to each port of the host from `first` to `last`, many at a time, and closes what it
// opened. What has not answered when `limit` is over counts as unanswered.
PortScan scan_host(std::uint32_t first, std::uint32_t last, std::chrono::milliseconds limit);

}  // namespace capsem::guest::doctor
