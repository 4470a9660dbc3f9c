// Answers the guest's DNS questions: for names that the policy allows, with addresses that it lets
// the guest have, and with "no such name" for all else, which then never leaves the host.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "host/net/answers.h"
#include "host/net/dns_message.h"
#include "host/net/name_limits.h"
#include "host/net/policy.h"
#include "host/net/resolver.h"

namespace capsem::host::net {

enum class NameResult {
  kAnswered,
  kDenied,           // no rule allows the name
  kNoName,           // there is none
  kNoAddress,        // it has none of the type, or the type is one that is never answered
  kAddressesDenied,  // it has, but none that may be given
  kLimited,          // the guest asks too fast, or for too many names of one domain
  kFailed,           // the name servers gave no answer
  kMalformed,        // not a question that we understand
};

// A name that the guest has asked for, for the audit.
struct NameAsked {
  std::string name;
  RecordType type{};
  NameResult result = NameResult::kMalformed;
  std::string rule;                // that decided; empty when none was asked
  std::vector<Address> addresses;  // that were given
};

struct DnsHooks {
  // Whether a name may be resolved: Policy::name().
  std::function<Decision(std::string_view name)> judge_name;
  // Asks somebody about a name that is denied: whether it is to be judged again. May be missing.
  std::function<Task<bool>(std::string name)> ask;
  // Whether the guest may be given an address of a name.
  std::function<bool(std::string_view name, const Address& address)> may_give;
  std::function<void(const NameAsked& asked)> asked;
};

class DnsService {
 public:
  // `resolver` and `answers`, which learns what was given, must outlive the service, and the
  // service whoever waits for respond().
  DnsService(Resolver& resolver, Answers& answers, DnsHooks hooks,
             const NameLimitOptions& limits = {});

  // The answer to one message, which has to stay until then; nothing for what must not be answered.
  // As many run at once as the caller starts: the resolver bounds those that wait.
  Task<std::optional<std::vector<std::byte>>> respond(std::span<const std::byte> message,
                                                      Transport transport);

 private:
  Task<DnsAnswer> answer(const DnsQuery& query, NameAsked& asked);
  Task<DnsAnswer> look_up(const DnsQuery& query, NameAsked& asked);
  DnsAnswer give(const Resolver::Found& found, NameAsked& asked);

  Resolver& resolver_;
  Answers& answers_;
  DnsHooks hooks_;
  NameLimits limits_;
};

}  // namespace capsem::host::net
