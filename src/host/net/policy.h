// What the guest may reach: an ordered list of rules, of which the first that matches decides; with
// none, the answer is no. Knows no socket. docs/network.md describes the rules for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/net/flow.h"

namespace capsem::host::net {

enum class Verdict {
  kDeny,
  kPass,     // the bytes go through as they are
  kInspect,  // the host ends TLS, and each request is judged by request()
};

struct Decision {
  Verdict verdict = Verdict::kDeny;
  std::string rule;  // the name of the rule that decided, or "no rule"
  bool operator==(const Decision&) const = default;
};

// Host names are taken in the form of normal_host() (lower case, no trailing dot, A-labels).
class Policy {
 public:
  // Whether a name may be resolved: some rule allows something of it.
  Decision name(std::string_view host) const;

  // A connection whose server name (of the TLS hello, or of a request) is known: `host`; empty for
  // one that is to go to an address as such, which only a rule by address allows. kInspect when a
  // rule says so, or when it takes a request to tell.
  Decision connection(std::string_view host, const Flow& flow) const;

  // One request of an inspected or plain connection; never kInspect.
  Decision request(std::string_view host, const Flow& flow, std::string_view method,
                   std::string_view path) const;

  // Whether `address` may be connected to for a rule by name: false for what is loopback, private,
  // link-local, multicast, carrier, metadata or reserved, however spelt, unless a rule allows that
  // very address.
  Decision resolved_address(const Address& address, const Flow& flow) const;
};

}  // namespace capsem::host::net
