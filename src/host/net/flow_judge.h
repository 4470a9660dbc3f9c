// What becomes of a connection, once it is known what it begins with. Knows no socket.
#pragma once

#include <chrono>
#include <string>

#include "host/net/answers.h"
#include "host/net/flow.h"
#include "host/net/opening.h"
#include "host/net/policy.h"

namespace capsem::host::net {

struct FlowJudgement {
  // kInspect: TLS is ended, or, for HTTP without it, each request is judged.
  Verdict verdict = Verdict::kDeny;
  std::string host;  // that it is for; empty when it goes to an address as such
  std::string rule;
  std::string reason;      // of a denial, in words
  bool by_rule = false;    // a rule could have allowed it
  bool undecided = false;  // no rule did, neither way
  // It may be allowed yet, by what the client says first, which has said nothing.
  bool takes_opening = false;
};

// The name of a connection is what its TLS hello says, and has to be one for which the guest's
// resolver gave the address. Where no name is said, the connection is allowed by its address, or,
// on ports that are not the web's, by a name that the address was given for.
FlowJudgement judge_flow(const Policy& policy, const Answers& answers, const Flow& flow,
                         const Opening& opening, Answers::Time now);

// Whether a request without TLS for `host` may go to the address that the guest connected to: the
// reason why not, or nothing.
std::string address_fault(const Policy& policy, const Answers& answers, const Flow& flow,
                          const std::string& host, Answers::Time now);

}  // namespace capsem::host::net
