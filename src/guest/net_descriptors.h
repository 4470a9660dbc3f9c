// What PID 1 hands to the service that carries the sessions' network, from descriptor 3 on, and
// what is in it.
#pragma once

#include <array>
#include <cstdint>

namespace capsem::guest {

inline constexpr int kFirstNetDescriptor = 3;  // SD_LISTEN_FDS_START

enum class NetDescriptor : int {
  kTcp4 = kFirstNetDescriptor,  // listening sockets of the sessions' network namespace
  kTcp6,
  kUdp4,  // where datagrams to port 53 of any address end
  kUdp6,
  kConnections,  // a BPF map from ConnectionKey to Connector
  kToken,        // a file: what tells the host that it talks to this service
};
inline constexpr int kNetDescriptors = 6;

// A TCP connection, as the process that made it sees it. IPv4 addresses are IPv4-mapped ones.
struct ConnectionKey {
  std::array<std::uint8_t, 16> local_address{};
  std::array<std::uint8_t, 16> remote_address{};
  std::uint32_t local_port = 0;
  std::uint32_t remote_port = 0;
};

// Who made it.
struct Connector {
  std::uint32_t pid = 0;  // in the machine's pid namespace
  std::uint32_t uid = 0;
};

}  // namespace capsem::guest
