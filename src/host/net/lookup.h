// One question to the name servers of the host, or to its /etc/hosts, by c-ares.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "async/task.h"
#include "host/net/flow.h"

namespace capsem::host::net {

enum class Family { kIpv4, kIpv6 };

struct Lookup {
  enum class Outcome {
    kFound,
    kNoName,     // NXDOMAIN
    kNoAddress,  // the name has none of this family
    kFailed,     // no server gave an answer in time, or it was of no use
    kBusy,       // not asked: too many are asked at once
  };
  Outcome outcome = Outcome::kFailed;
  std::vector<std::string> aliases;  // what the name leads to, one after the other
  std::vector<Address> addresses;
  std::chrono::seconds ttl{0};  // the least of all records, within kMinTtl and kMaxTtl
  std::string reason;           // of kFailed and kBusy
};

constexpr std::chrono::seconds kMinTtl{1};
constexpr std::chrono::seconds kMaxTtl{3600};

struct LookupOptions {
  // "192.0.2.1:53,[2001:db8::1]:53" instead of the host's, which are in resolv.conf.
  std::string servers;
  std::string resolv_conf;                 // instead of /etc/resolv.conf
  std::uint16_t port = 53;                 // of the servers in it, whose port it cannot say
  std::chrono::milliseconds limit{10000};  // of the whole
  // Until the next server is asked; twice that in the next round of `rounds`.
  std::chrono::milliseconds server_limit{2000};
  int rounds = 3;
};

// `name` in lower case, complete: no domain is searched. The host's settings (resolv.conf,
// nsswitch.conf, /etc/hosts) are read anew each time, as they change with the network that it is
// in.
Task<Lookup> look_up(std::string name, Family family, LookupOptions options);

}  // namespace capsem::host::net
