// Routes and routing rules of the network namespace that the caller is in. rtnetlink(7)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::init {

class Netlink {
 public:
  static Result<Netlink> open();

  struct DefaultRoute {
    int family;
    std::uint32_t table;
    std::uint8_t type;                           // RTN_LOCAL or RTN_UNREACHABLE
    std::vector<std::uint8_t> preferred_source;  // an address, or empty
  };
  // A route for every address; a local one is on the loopback interface.
  Result<> add(const DefaultRoute& route);

  struct Rule {
    int family;
    std::uint32_t priority;
    std::uint8_t protocol;              // IPPROTO_*
    std::optional<std::uint16_t> port;  // that it goes to
    std::uint32_t table;
  };
  // Has packets of a protocol follow a routing table.
  Result<> add(const Rule& rule);

 private:
  explicit Netlink(Fd socket) : socket_(std::move(socket)) {}
  Result<> request(std::string& message, const std::string& what);

  Fd socket_;
};

}  // namespace capsem::guest::init
