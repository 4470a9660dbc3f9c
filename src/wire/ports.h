// The vsock ports of a guest, and which side connects to each.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace capsem::wire {

enum class Connector { kGuest, kHost };

struct Port {
  std::uint32_t number;
  std::string_view name;
  Connector connector;
};

inline constexpr Port kControlPort{5000, "control", Connector::kGuest};
inline constexpr Port kSessionPort{5001, "sessions", Connector::kHost};
inline constexpr Port kNetPort{5002, "net", Connector::kGuest};
inline constexpr Port kMcpPort{5003, "mcp", Connector::kGuest};
inline constexpr Port kLifecyclePort{5004, "lifecycle", Connector::kGuest};
// Files into and out of the guest, and connections to TCP ports in there.
inline constexpr Port kTransferPort{5005, "transfers", Connector::kHost};
inline constexpr Port kAuditPort{5006, "audit", Connector::kGuest};
inline constexpr Port kDnsPort{5007, "dns", Connector::kGuest};

// Changed entries of guest.toml for PID 1, which listens there itself.
inline constexpr Port kDeployPort{5009, "deploy", Connector::kHost};

inline constexpr std::array kPorts = {kControlPort, kSessionPort,   kNetPort,
                                      kMcpPort,     kLifecyclePort, kTransferPort,
                                      kAuditPort,   kDnsPort,       kDeployPort};

}  // namespace capsem::wire
