#include "host/net/dns_service.h"

#include <algorithm>
#include <utility>

namespace capsem::host::net {
namespace {

DnsAnswer explained(ResponseCode code, ExtendedError error, std::string text) {
  return {.code = code, .explanation = DnsAnswer::Explanation{error, std::move(text)}};
}

// The rest of its time, of which a client may take what it was told at the last moment.
std::chrono::seconds rest_of(const Resolver::Found& found, Resolver::Time now) {
  const auto rest = std::chrono::ceil<std::chrono::seconds>(found.end - now);
  return std::clamp(rest, kMinTtl, kMaxTtl);
}

}  // namespace

DnsService::DnsService(Resolver& resolver, Answers& answers, DnsHooks hooks,
                       const NameLimitOptions& limits)
    : resolver_(resolver), answers_(answers), hooks_(std::move(hooks)), limits_(limits) {}

Task<std::optional<std::vector<std::byte>>> DnsService::respond(std::span<const std::byte> message,
                                                                Transport transport) {
  auto query = read_query(message);
  if (!query) co_return std::nullopt;
  NameAsked asked{.name = query->name, .type = query->type};
  DnsAnswer reply{.code = query->problem};
  if (query->problem == ResponseCode::kNoError) reply = co_await answer(*query, asked);
  if (hooks_.asked) hooks_.asked(asked);
  co_return write_answer(*query, reply, transport);
}

Task<DnsAnswer> DnsService::answer(const DnsQuery& query, NameAsked& asked) {
  Decision decision{.verdict = Verdict::kDeny, .rule = "no host name"};
  if (query.is_host_name) decision = hooks_.judge_name(query.name);
  bool for_address = query.type == RecordType::kA || query.type == RecordType::kAaaa;
  if (decision.verdict == Verdict::kDeny && query.is_host_name && for_address && hooks_.ask) {
    const bool again = co_await hooks_.ask(query.name);
    if (again) decision = hooks_.judge_name(query.name);
  }
  asked.rule = decision.rule;
  if (decision.verdict == Verdict::kDeny) {
    asked.result = NameResult::kDenied;
    co_return explained(ResponseCode::kNameError, ExtendedError::kBlocked,
                        "capsem: denied by " + decision.rule);
  }
  if (for_address) co_return co_await look_up(query, asked);
  // HTTPS records too. They would lead past the policy: to another name, port or address, to
  // QUIC, and to a hello that nobody can read. A client without one uses the addresses (RFC 9460,
  // 3).
  asked.result = NameResult::kNoAddress;
  co_return DnsAnswer{};
}

Task<DnsAnswer> DnsService::look_up(const DnsQuery& query, NameAsked& asked) {
  const auto family = query.type == RecordType::kA ? Family::kIpv4 : Family::kIpv6;
  auto found = resolver_.cached(query.name, family);
  if (!found) {
    const auto judgement = limits_.admit(query.name, std::chrono::steady_clock::now());
    if (judgement != NameLimits::Judgement::kAdmitted) {
      const bool fast = judgement == NameLimits::Judgement::kTooFast;
      asked.result = NameResult::kLimited;
      co_return explained(
          ResponseCode::kRefused, ExtendedError::kProhibited,
          fast ? "capsem: too many names a second" : "capsem: too many names of one domain");
    }
    found = co_await resolver_.find(query.name, family);
  }
  switch (found->lookup.outcome) {
    case Lookup::Outcome::kFound:
      co_return give(*found, asked);
    case Lookup::Outcome::kNoName:
      asked.result = NameResult::kNoName;
      co_return DnsAnswer{.code = ResponseCode::kNameError};
    case Lookup::Outcome::kNoAddress:
      asked.result = NameResult::kNoAddress;
      co_return DnsAnswer{};
    case Lookup::Outcome::kFailed:
    case Lookup::Outcome::kBusy:
      break;
  }
  asked.result = NameResult::kFailed;
  co_return explained(ResponseCode::kServerFailure, ExtendedError::kNoReachableAuthority,
                      "capsem: " + found->lookup.reason);
}

DnsAnswer DnsService::give(const Resolver::Found& found, NameAsked& asked) {
  for (const auto& address : found.lookup.addresses) {
    if (hooks_.may_give(asked.name, address)) asked.addresses.push_back(address);
  }
  if (asked.addresses.empty()) {
    // The name is there, and may have addresses of the other family that can be given: "no such
    // name" would hold for both (RFC 8020).
    asked.result = NameResult::kAddressesDenied;
    return explained(ResponseCode::kNoError, ExtendedError::kFiltered,
                     "capsem: its addresses are not public");
  }
  asked.result = NameResult::kAnswered;
  const auto now = std::chrono::steady_clock::now();
  const auto ttl = rest_of(found, now);
  answers_.add(asked.name, asked.addresses, ttl, now);
  return {.aliases = found.lookup.aliases,
          .addresses = asked.addresses,
          .ttl_seconds = static_cast<std::uint32_t>(ttl.count())};
}

}  // namespace capsem::host::net
