// Why the policy decides as it does, and what would have it decide otherwise.
#pragma once

#include <optional>
#include <string>

#include "host/net/policy.h"

namespace capsem::host::net {

// What asks to go out. `host` is empty where it is to go to an address as such.
struct Question {
  std::string host;
  Flow flow;
  // Of a request; without it, it is the connection alone.
  struct Request {
    std::string method;
    std::string path;
  };
  std::optional<Request> request;
};

// In one line: what of the rule that decided matched; or, without one, what of the first rule that
// allows something of this host did not.
std::string why(const Policy& policy, const Policy::Judgement& judgement, const Question& question);

// The shortest rule that allows what was denied and no more of the same host, to be put before the
// others; as write_rule() writes it. For a name that resolves to an inner address, ask with an
// empty host. Nothing where no rule can: the host is no name.
std::optional<Rule> rule_to_allow(const Question& denied);

// "--allow example.com:8443": the same on the command line, which cannot name methods and paths, so
// that it allows all requests.
std::optional<std::string> option_to_allow(const Question& denied);

}  // namespace capsem::host::net
