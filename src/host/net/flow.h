// A connection of the guest that asks to go out, as the policy sees it.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <string>

namespace capsem::host::net {

using Address = boost::asio::ip::address;

// Who opened the connection, as far as the guest's kernel knew.
struct Process {
  std::uint32_t pid = 0;  // as the sessions know it; 0 when it could not be found
  std::uint32_t uid = 0;
  std::string executable;  // /proc/PID/exe; empty when it could not be found
  bool operator==(const Process&) const = default;
};

struct Flow {
  Address address;  // that the guest connected to
  std::uint16_t port = 0;
  Process process;
  // The address is one of the host's own (host_address.h), where its services listen.
  bool to_host = false;
};

}  // namespace capsem::host::net
