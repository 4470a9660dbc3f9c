// What the guest may reach: an ordered list of rules, of which the first that matches decides; with
// none, the answer is no. Knows no socket. docs/network.md describes the rules for people.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/net/flow.h"
#include "host/net/policy_rule.h"

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

// Of a decision that no rule made.
inline constexpr const char* kNoRule = "no rule";

class PolicyIndex;

// Host names are taken in the form of normal_host() (lower case, no trailing dot, A-labels). Cheap
// to copy, and never changed: another policy takes its place.
class Policy {
 public:
  // Denies all.
  Policy() = default;
  explicit Policy(std::vector<Rule> rules);
  // Of a text of read_policy() (policy_text.h), as it comes to the monitor.
  static Result<Policy> parse(std::string_view text, const std::string& file);

  std::span<const Rule> rules() const;

  // Whether a name may be resolved: some rule allows something of it.
  Decision name(std::string_view host) const;

  // A connection whose server name (of the TLS hello, or of a request) is known: `host`; empty for
  // one that is to go to an address as such, which only a rule by address allows. kInspect when a
  // rule says so, or when it takes a request to tell. A flow to the unspecified address is one
  // whose address is not known yet.
  Decision connection(std::string_view host, const Flow& flow) const;

  // One request of an inspected or plain connection; never kInspect.
  // `path` with or without its query.
  Decision request(std::string_view host, const Flow& flow, std::string_view method,
                   std::string_view path) const;

  // Whether `address` may be connected to for a rule by name: false for what is loopback, private,
  // link-local, multicast, carrier, metadata or reserved, however spelt, unless a rule allows that
  // very address, or a network within such a range; and for an address of the host's own, unless a
  // rule allows exactly it, or a network of loopback. A rule that denies the address counts
  // wherever it stands among those by name.
  Decision resolved_address(const Address& address, const Flow& flow) const;
  // Whether a resolver may tell it: false when that is denied to every port and process.
  bool may_resolve_to(const Address& address) const;

  // The same answers with the rule itself, for who explains them.
  struct Judgement {
    Verdict verdict = Verdict::kDeny;
    const Rule* rule = nullptr;  // of this policy and its copies
  };
  Judgement judge_name(std::string_view host) const;
  Judgement judge_connection(std::string_view host, const Flow& flow) const;
  Judgement judge_request(std::string_view host, const Flow& flow, std::string_view method,
                          std::string_view path) const;
  Judgement judge_address(const Address& address, const Flow& flow) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace capsem::host::net
