#include "host/net/flow_judge.h"

#include <utility>

#include "host/net/policy_explain.h"

namespace capsem::host::net {
namespace {

FlowJudgement denied(std::string host, std::string reason) {
  return {.verdict = Verdict::kDeny,
          .host = std::move(host),
          .rule = kNoRule,
          .reason = std::move(reason)};
}

FlowJudgement of_policy(const Policy& policy, const std::string& host, const Flow& flow) {
  auto judgement = policy.judge_connection(host, flow);
  FlowJudgement result{.verdict = judgement.verdict,
                       .host = host,
                       .rule = judgement.rule == nullptr ? kNoRule : judgement.rule->name,
                       .reason = {}};
  if (judgement.verdict == Verdict::kDeny) {
    result.reason = why(policy, judgement, {.host = host, .flow = flow, .request = {}});
    result.by_rule = true;
    result.undecided = judgement.rule == nullptr;
  }
  return result;
}

FlowJudgement by_address(const Policy& policy, const Flow& flow) {
  return of_policy(policy, "", flow);
}

FlowJudgement by_name(const Policy& policy, const Answers& answers, const Flow& flow,
                      const std::string& host, Answers::Time now) {
  auto judgement = of_policy(policy, host, flow);
  if (judgement.verdict == Verdict::kDeny) return judgement;
  if (auto fault = address_fault(policy, answers, flow, host, now); !fault.empty())
    return denied(host, std::move(fault));
  return judgement;
}

// Nothing in it names the server.
FlowJudgement without_name(const Policy& policy, const Answers& answers, const Flow& flow,
                           Answers::Time now) {
  bool inspected = false;
  for (const auto& host : answers.names_of(flow.address, now)) {
    auto judgement = by_name(policy, answers, flow, host, now);
    // Only what can be inspected has requests that could be judged.
    if (judgement.verdict == Verdict::kPass) return judgement;
    if (judgement.verdict == Verdict::kInspect) inspected = true;
  }
  auto judgement = by_address(policy, flow);
  if (judgement.verdict == Verdict::kInspect) inspected = true;
  judgement.takes_opening = inspected && judgement.verdict != Verdict::kPass;
  return judgement;
}

// Many clients send an encrypted hello that is none (draft-ietf-tls-esni, "GREASE ECH"), and nobody
// can tell those with one by it. Where TLS ends here it does no harm: our side of it has no key,
// and goes by the name that is not encrypted. Passed on it may lead to any name that the server
// has, whatever that one says.
FlowJudgement by_server_name(const Policy& policy, const Answers& answers, const Flow& flow,
                             const ClientHello& hello, Answers::Time now) {
  auto judgement = by_name(policy, answers, flow, hello.server_name, now);
  if (!hello.encrypted_hello || judgement.verdict != Verdict::kPass) return judgement;
  return denied(hello.server_name,
                "its TLS hello may hide another name (encrypted client hello), which takes a rule "
                "with tls = \"inspect\", or for the address");
}

FlowJudgement with_hello(const Policy& policy, const Answers& answers, const Flow& flow,
                         const ClientHello& hello, Answers::Time now) {
  auto address = by_address(policy, flow);
  if (hello.server_name.empty()) {
    if (address.verdict == Verdict::kDeny)
      address.reason = hello.encrypted_hello ? "the server's name in its TLS hello is encrypted"
                                             : "its TLS hello names no server";
    return address;
  }
  auto judgement = by_server_name(policy, answers, flow, hello, now);
  // A rule for the very address does not ask for a name.
  if (judgement.verdict != Verdict::kDeny || address.verdict == Verdict::kDeny) return judgement;
  if (!hello.encrypted_hello || address.verdict == Verdict::kInspect)
    address.host = hello.server_name;
  return address;
}

}  // namespace

std::string address_fault(const Policy& policy, const Answers& answers, const Flow& flow,
                          const std::string& host, Answers::Time now) {
  if (!answers.given(host, flow.address, now))
    return "the address " + flow.address.to_string() + " was not given to the guest for " + host;
  auto address = policy.resolved_address(flow.address, flow);
  if (address.verdict == Verdict::kPass) return {};
  if (flow.to_host) return "the address " + flow.address.to_string() + " is the host's own";
  return "the address " + flow.address.to_string() + " is none of the Internet's";
}

FlowJudgement judge_flow(const Policy& policy, const Answers& answers, const Flow& flow,
                         const Opening& opening, Answers::Time now) {
  switch (opening.kind) {
    case Opening::Kind::kTls:
      return with_hello(policy, answers, flow, opening.hello, now);
    case Opening::Kind::kMalformedTls:
      return denied("", "its TLS hello cannot be read: " + opening.reason);
    case Opening::Kind::kHttp:
      // Each request names its host.
      return {.verdict = Verdict::kInspect, .host = {}, .rule = kNoRule, .reason = {}};
    case Opening::Kind::kOther:
    case Opening::Kind::kNothing:
      break;
  }
  if (!is_web_port(flow.port)) {
    auto judgement = without_name(policy, answers, flow, now);
    if (opening.kind == Opening::Kind::kOther) judgement.takes_opening = false;
    return judgement;
  }
  auto judgement = by_address(policy, flow);
  if (judgement.verdict == Verdict::kDeny) judgement.reason = "it is neither TLS nor HTTP";
  return judgement;
}

}  // namespace capsem::host::net
