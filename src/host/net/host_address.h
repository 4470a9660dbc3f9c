// Which addresses are the host's own: its public ones too lead to services that it may have for its
// own network alone, behind a firewall that does not ask about what comes from the host itself.
#pragma once

#include "base/error.h"
#include "host/net/flow.h"

namespace capsem::host::net {

// Whether the kernel delivers what goes to `address` on this host, by its routing table
// (rtnetlink(7)): so also an address that is on no interface, of a local route. Of an IPv6 address
// the IPv4 address that it carries counts too, as a translator may lead back here.
Result<bool> is_host_address(const Address& address);

}  // namespace capsem::host::net
