// What a person writes who asks whether something may be reached: a URL, or a host and a port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "host/net/host_name.h"

namespace capsem::host::net {

struct Destination {
  std::string scheme;  // http, https, ws or wss; empty where no URL was written
  HostTarget target;
  std::uint16_t port = 0;
  std::string path;  // with the query; "/" where none was written

  bool encrypted() const { return scheme == "https" || scheme == "wss"; }
};

// "https://example.com:8443/x?y", "example.com", "[fd00::1]:22".
Result<Destination> parse_destination(std::string_view text);

}  // namespace capsem::host::net
