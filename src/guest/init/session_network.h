// The network of sessions: a namespace of their own with loopback and nothing else, in which every
// TCP connection and every DNS query that would leave it ends in a socket of the proxy, and all
// else is refused at once.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::init {

struct SessionNetwork {
  std::vector<Fd> descriptors;  // for the proxy, by NetDescriptor
  std::vector<Fd> programs;     // the network works as long as they are open
  std::string token;            // as in the descriptor of that name
};

// Makes the namespace and shows it at kSessionNetwork (guest/paths.h). The caller's own stays as it
// is. The sessions' control group exists already.
Result<SessionNetwork> make_session_network();

}  // namespace capsem::guest::init
