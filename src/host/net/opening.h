// What a connection of the guest begins with, by which its protocol and its server's name are
// known.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/tls_hello.h"

namespace capsem::host::net {

struct Opening {
  enum class Kind {
    kTls,
    kMalformedTls,  // `reason` says why
    kHttp,          // on a web port a method and a space, elsewhere a whole request line
    kOther,
    kNothing,  // the client waits for the server
  };
  Kind kind = Kind::kNothing;
  ClientHello hello;  // of kTls
  std::string reason;
  std::vector<std::byte> bytes;  // all that was read
  bool ended = false;            // and the client's side ended, which is not to be read again
};

struct OpeningLimits {
  // For a client that speaks first, until it has said enough.
  std::chrono::milliseconds client_first{10'000};
  // On ports where the server may be the first to speak, until it is let.
  std::chrono::milliseconds server_first{300};
};

// The ports on which the client always speaks first, in TLS or HTTP.
bool is_web_port(std::uint16_t port);

// Reads the beginning of a connection to `port`. An error when the client went away; one that only
// ended its side has said nothing, but on the web's ports.
Task<Result<Opening>> read_opening(async::Stream& guest, std::uint16_t port,
                                   OpeningLimits limits = {});

// The same for a client that had said nothing when its server was let to speak: waits as long as it
// takes for its first word. kNothing when it ends without one.
Task<Result<Opening>> read_late_opening(async::Stream& guest, OpeningLimits limits = {});

}  // namespace capsem::host::net
