// GuestNetwork: the connections that are looked into, and each request on them.
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "host/net/guest_network.h"
#include "host/net/host_name.h"
#include "host/net/net_records.h"
#include "host/net/policy_explain.h"
#include "host/net/tcp_connect.h"

namespace capsem::host::net {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

Task<> GuestNetwork::inspect(async::Stream& guest, Active& active, Opening opening) {
  co_await prepared_.wait();
  const bool secure = opening.kind == Opening::Kind::kTls;
  const auto& flow = active.flow;
  InspectOptions options{
      .server_name =
          active.judgement.host.empty() ? flow.address.to_string() : active.judgement.host,
      .port = flow.port,
      .protocols = protocols_for(active, opening.hello.protocols),
      .judge = [this, &active, secure](
                   const PlainRequest& request) { return judge_request(active, secure, request); },
      .record =
          [this, &active, secure](const RequestRecord& request) {
            audit_.add(record_of(active.id, active.flow, secure, request));
          },
      // The address that was judged, whatever the host.
      .connect = [&flow](const std::string&) { return connect_tcp(flow.address, flow.port); },
      .limits = {}};
  if (!secure) {
    [[maybe_unused]] auto served =
        co_await inspect_plain(guest, std::move(opening.bytes), std::move(options));
    if (!active.ending) active.ending = audit::Ending::kDone;
    co_return;
  }
  if (!inspector_) {
    fail_with(active, inspector_.error());
    co_return guest.reset();
  }
  auto served =
      co_await inspect_tls(guest, std::move(opening.bytes), *inspector_, std::move(options));
  if (active.ending) co_return;  // withdrawn
  if (!served) co_return fail_with(active, served.error());
  active.ending = audit::Ending::kDone;
}

std::vector<std::string> GuestNetwork::protocols_for(Active& active,
                                                     std::vector<std::string> offered) const {
  const bool more = std::ranges::count_if(active_, &Active::http2) < kMostHttp2;
  const auto http2 = std::ranges::find(offered, kHttp2);
  active.http2 = more && http2 != offered.end();
  if (!more && http2 != offered.end()) offered.erase(http2);
  return offered;
}

Task<Judgement> GuestNetwork::judge_request(Active& active, bool secure,
                                            const PlainRequest& request) {
  const auto now = Clock::now();
  const auto& flow = active.flow;
  const auto& method = request.head.method;
  const auto& path = request.target.judged;
  auto target = parse_target(request.authority.host);
  Question question{.host = target ? target->name : "",
                    .flow = flow,
                    .request = Question::Request{.method = method, .path = path}};
  std::string fault;
  if (!target || (target->address && *target->address != flow.address))
    fault = "the request is for another host than its connection";
  auto policy = policy_;  // whose rules are used, whatever becomes of it meanwhile
  Policy::Judgement judged;
  bool by_address = false;
  auto judge = [&] {
    policy = policy_;
    judged = policy.judge_request(question.host, flow, method, path);
    // A rule for the very address does not ask for a name.
    by_address = policy.judge_request("", flow, method, path).verdict == Verdict::kPass;
  };
  judge();
  bool undecided = judged.verdict == Verdict::kDeny && judged.rule == nullptr && !by_address;
  if (fault.empty() && undecided) {
    const bool again = co_await questions_.ask(question);
    if (again) judge();
  }
  if (fault.empty() && judged.verdict == Verdict::kPass && !question.host.empty() && !by_address)
    fault = address_fault(policy, answers_, flow, question.host, now);
  const auto decision = [&](Verdict verdict) {
    return Decision{verdict, judged.rule == nullptr ? kNoRule : judged.rule->name};
  };
  if (!fault.empty()) co_return denial(question, decision(Verdict::kDeny), fault, false);
  if (judged.verdict != Verdict::kPass && !by_address)
    co_return denial(question, decision(Verdict::kDeny), why(policy, judged, question), true);

  auto under_way = std::make_shared<RequestUnderWay>();
  // Who passes a request on keeps what it was given here.
  std::erase_if(active.requests,
                [](const AllowedRequest& other) { return other.under_way.use_count() == 1; });
  active.requests.push_back({question, under_way});
  const auto* rule = judged.verdict == Verdict::kPass ? judged.rule : nullptr;
  std::function<void(const std::string&)> leaked = [this, question](const std::string& reason) {
    denials_.add(question, reason, false, Clock::now());
  };
  auto prepared = co_await secrets_.prepare(request, rule, secure, std::move(leaked));
  if (prepared.fault.empty())
    co_return Judgement{.decision = decision(Verdict::kPass),
                        .under_way = std::move(under_way),
                        .filter = std::move(prepared.filter)};
  auto refusal = denial(question, decision(Verdict::kDeny), prepared.fault, false);
  refusal.status = prepared.status;
  if (!prepared.explanation.empty()) refusal.explanation = std::move(prepared.explanation);
  co_return refusal;
}

Judgement GuestNetwork::denial(const Question& question, Decision decision,
                               const std::string& reason, bool by_rule) {
  denials_.add(question, reason, by_rule, Clock::now());
  return {.decision = std::move(decision), .explanation = denials_.all().front().text()};
}

}  // namespace capsem::host::net
