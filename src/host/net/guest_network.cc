#include "host/net/guest_network.h"

#include <array>
#include <span>
#include <utility>

#include "async/join.h"
#include "async/limit.h"
#include "base/fd.h"
#include "host/net/counted_stream.h"
#include "host/net/dns_connection.h"
#include "host/net/ended_stream.h"
#include "host/net/framed.h"
#include "host/net/host_name.h"
#include "host/net/judged_stream.h"
#include "host/net/linger.h"
#include "host/net/net_records.h"
#include "host/net/policy_explain.h"
#include "host/net/tcp_connect.h"
#include "wire/codec.h"

namespace capsem::host::net {
namespace {

using Clock = std::chrono::steady_clock;

// A record of type alert (RFC 8446, 5.1 and 6): fatal, access_denied.
constexpr std::array<unsigned char, 7> kAccessDenied = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x31};
// For a client to read its answer.
constexpr std::chrono::seconds kLastWords{2};
constexpr std::size_t kLastWordsBytes = 64 << 10;

std::optional<Flow> flow_of(const wire::NetOpen& open) {
  constexpr std::uint32_t kLastPort = 65535;
  auto address = address_of_bytes(open.address);
  if (!address || open.port == 0 || open.port > kLastPort) return std::nullopt;
  return Flow{.address = plain(*address),
              .port = static_cast<std::uint16_t>(open.port),
              .process = {.pid = open.pid, .uid = open.uid, .executable = open.executable}};
}

}  // namespace

// A connection among those under way, and in the audit, from here to its end, however it comes to
// that.
class GuestNetwork::UnderWay {
 public:
  UnderWay(GuestNetwork& network, CountedStream& guest, Flow flow, FlowJudgement judgement,
           std::uint64_t read_bytes)
      : network_(network),
        guest_(guest),
        place_(network.active_.insert(network.active_.end(), {.id = network.audit_.new_connection(),
                                                              .flow = std::move(flow),
                                                              .judgement = std::move(judgement),
                                                              .guest = &guest,
                                                              .ending = std::nullopt,
                                                              .failure = {}})),
        record_(record_of(place_->id, place_->flow, place_->judgement)) {
    record_.sent_bytes = read_bytes;
    network_.audit_.add(record_);
  }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;
  ~UnderWay() {
    record_.duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_);
    record_.sent_bytes += guest_.read_bytes();
    record_.received_bytes = guest_.written_bytes();
    // The client may have said more than it was judged by at first.
    auto judged = record_of(place_->id, place_->flow, place_->judgement);
    record_.server_name = std::move(judged.server_name);
    record_.judgement = std::move(judged.judgement);
    record_.reason = std::move(judged.reason);
    record_.ending = place_->ending.value_or(audit::Ending::kStopped);
    if (network_.stopping_) record_.ending = audit::Ending::kStopped;
    if (!place_->failure.empty()) record_.reason = place_->failure;
    network_.audit_.add(std::move(record_));
    network_.active_.erase(place_);
  }

  Active& active() { return *place_; }

 private:
  GuestNetwork& network_;
  CountedStream& guest_;
  std::list<Active>::iterator place_;
  audit::Connection record_;
  Clock::time_point begin_ = Clock::now();
};

GuestNetwork::GuestNetwork(const boost::asio::any_io_executor& executor, Options options,
                           audit::Sink& audit, Denials::Tell denied)
    : executor_(executor),
      given_(std::move(options.policy)),
      policy_(given_),
      name_(std::move(options.name)),
      trusted_(std::move(options.trusted)),
      is_host_address_(std::move(options.is_host_address)),
      audit_(audit),
      denials_(std::move(denied)),
      secrets_(executor),
      questions_(executor),
      resolver_(executor, options.resolver),
      dns_(resolver_, answers_, dns_hooks()),
      token_(executor),
      inspector_(fail("inspect", "connections", "the VM has ended")),
      prepared_(executor) {
  secrets_.use(policy_);
}

Task<> GuestNetwork::prepare() {
  auto make = [name = name_, trusted = trusted_] {
    return trusted.empty() ? Inspector::make(name) : Inspector::make_trusting(name, trusted);
  };
  inspector_ = co_await preparing_.run(std::move(make));
  prepared_.set();
}

Task<Result<std::string>> GuestNetwork::certificate() {
  co_await prepared_.wait();
  if (!inspector_) co_return propagate(inspector_);
  co_return inspector_->authority->certificate_pem();
}

void GuestNetwork::change(Policy policy) {
  given_ = std::move(policy);
  set_policy();
  // What was refused may be allowed now.
  denials_.clear();
  for (auto& active : active_) {
    if (active.judgement.verdict == Verdict::kDeny || keeps(active)) continue;
    active.ending = audit::Ending::kWithdrawn;
    active.guest->reset();
  }
}

// What was answered comes behind all rules, of which none decided it.
void GuestNetwork::set_policy() {
  policy_ = given_;
  secrets_.use(policy_);
  if (answered_.empty()) return;
  std::vector<Rule> rules(given_.rules().begin(), given_.rules().end());
  rules.insert(rules.end(), answered_.begin(), answered_.end());
  policy_ = Policy(std::move(rules));
}

bool GuestNetwork::answer(std::uint64_t id, bool allowed) {
  const auto* current = questions_.current();
  if (current == nullptr || current->id != id) return false;
  auto rule = allowed ? rule_to_allow(for_all_requests(current->question)) : std::nullopt;
  if (rule) {
    rule->name = rule->from = "the answer to --ask";
    answered_.push_back(std::move(*rule));
    set_policy();
  }
  return questions_.answer(id, allowed);
}

// Where the client names no server, it asks for the name that its address was given for.
Task<bool> GuestNetwork::ask_flow(Flow flow, std::string host, Opening::Kind kind) {
  if (host.empty() && kind != Opening::Kind::kTls && !is_web_port(flow.port)) {
    auto names = answers_.names_of(flow.address, Clock::now());
    if (!names.empty()) host = std::move(names.front());
  }
  Question question{.host = std::move(host), .flow = std::move(flow), .request = {}};
  co_return co_await questions_.ask(std::move(question));
}

Task<bool> GuestNetwork::ask_name(std::string name) {
  if (policy_.judge_name(name).rule != nullptr) co_return false;
  co_return co_await questions_.ask_name(name);
}

bool GuestNetwork::allows(const Flow& flow, const Question& request) const {
  auto passes = [](const Decision& decision) { return decision.verdict == Verdict::kPass; };
  const auto& [method, path] = *request.request;
  return (passes(policy_.resolved_address(flow.address, flow)) &&
          passes(policy_.request(request.host, flow, method, path))) ||
         passes(policy_.request("", flow, method, path));
}

// Of an inspected connection each request that is under way, and the last one, has to be allowed;
// those that can be ended alone are.
bool GuestNetwork::keeps(Active& active) const {
  const auto& flow = active.flow;
  if (active.judgement.verdict == Verdict::kPass) {
    auto passes = [](const Decision& decision) { return decision.verdict == Verdict::kPass; };
    return (passes(policy_.resolved_address(flow.address, flow)) &&
            passes(policy_.connection(active.judgement.host, flow))) ||
           passes(policy_.connection("", flow));
  }
  for (const auto& [question, under_way] : active.requests) {
    if (allows(flow, question)) continue;
    if (!under_way->withdraw) return false;
    under_way->withdraw();
  }
  return true;
}

// ---- connections

Task<> GuestNetwork::serve_flow(std::unique_ptr<async::Stream> guest) {
  auto frame = co_await async::with_limit(kFirstMessageLimit,
                                          read_frame(*guest, wire::limit_bytes<wire::GuestNet>()));
  if (!frame || !*frame) co_return;
  auto message = wire::decode<wire::GuestNet>(**frame);
  if (!message) co_return;
  const auto& open = std::get<wire::NetOpen>(*message);
  bool admitted = co_await token_.admits(open.token);
  auto flow = flow_of(open);
  if (admitted && flow) co_await serve(*guest, std::move(*flow));
}

Task<> GuestNetwork::serve(async::Stream& guest, Flow flow) {
  auto opening = co_await read_opening(guest, flow.port);
  if (!opening) co_return;
  // Only now, as the host's addresses change. What cannot be told is taken for one of them.
  flow.to_host = is_host_address_(flow.address).value_or(true);
  auto judgement = judge_flow(policy_, answers_, flow, *opening, Clock::now());
  if (judgement.takes_opening && !opening->ended) {
    auto late = co_await async::with_limit(OpeningLimits().client_first, read_late_opening(guest));
    if (late) opening = std::move(*late);
    if (!opening) co_return;
    judgement = judge_flow(policy_, answers_, flow, *opening, Clock::now());
  }
  if (judgement.undecided) {
    const bool again = co_await ask_flow(flow, judgement.host, opening->kind);
    if (again) judgement = judge_flow(policy_, answers_, flow, *opening, Clock::now());
  }
  CountedStream counted(guest);
  UnderWay under_way(*this, counted, std::move(flow), std::move(judgement), opening->bytes.size());
  co_await go_on(counted, under_way.active(), std::move(*opening));
}

Task<> GuestNetwork::go_on(async::Stream& guest, Active& active, Opening opening) {
  // An end that was read is not told of again.
  EndedStream ended(guest);
  auto& client = opening.ended ? static_cast<async::Stream&>(ended) : guest;
  switch (active.judgement.verdict) {
    case Verdict::kPass:
      if (opening.kind == Opening::Kind::kNothing && !opening.ended)
        co_return co_await pass_silent(guest, active);
      co_return co_await pass(client, active, opening);
    case Verdict::kInspect:
      co_return co_await inspect(client, active, std::move(opening));
    case Verdict::kDeny:
      co_return co_await refuse(client, active, opening);
  }
}

Task<> GuestNetwork::pass(async::Stream& guest, Active& active, const Opening& opening) {
  auto server = co_await connect_tcp(active.flow.address, active.flow.port);
  if (active.ending) co_return;  // withdrawn meanwhile
  if (!server) {
    fail_with(active, server.error());
    co_return guest.reset();
  }
  auto sent = co_await (*server)->write_all(opening.bytes);
  if (!sent) {
    active.ending = audit::Ending::kReset;
    co_return guest.reset();
  }
  // An error of either side is the other's to notice: its stream is reset.
  auto joined = co_await async::join(guest, **server);
  if (!active.ending) active.ending = joined ? audit::Ending::kDone : audit::Ending::kReset;
}

// A client that has said nothing yet, so that its server may. What it says in the end is judged as
// if it had said it at once.
Task<> GuestNetwork::pass_silent(async::Stream& guest, Active& active) {
  JudgedStream::Judge may_have = [this, &active](const Opening& opening) {
    auto judgement = judge_flow(policy_, answers_, active.flow, opening, Clock::now());
    active.judgement = std::move(judgement);
    return active.judgement.verdict == Verdict::kPass;
  };
  auto judged = std::make_unique<JudgedStream>(guest, std::move(may_have));
  const Opening nothing;
  co_await pass(*judged, active, nothing);
  if (!judged->refused() || active.ending == audit::Ending::kWithdrawn) co_return;
  active.ending.reset();
  // Nothing of the server has come so far, so that it can be asked anew.
  if (!judged->answered()) {
    auto opening = std::move(*judged->refused());
    if (active.judgement.undecided) {
      const bool again = co_await ask_flow(active.flow, active.judgement.host, opening.kind);
      if (again)
        active.judgement = judge_flow(policy_, answers_, active.flow, opening, Clock::now());
    }
    co_return co_await go_on(guest, active, std::move(opening));
  }
  if (active.judgement.verdict == Verdict::kInspect) {
    active.judgement.verdict = Verdict::kDeny;
    active.judgement.reason = "it has to be inspected, and its server was the first to speak";
  }
  co_await refuse(guest, active, *judged->refused());
}

void GuestNetwork::fail_with(Active& active, const Error& error) {
  active.ending = audit::Ending::kFailed;
  active.failure = error.message();
}

Task<> GuestNetwork::refuse(async::Stream& guest, Active& active, const Opening& opening) {
  active.ending = audit::Ending::kRefused;
  denials_.add({.host = active.judgement.host, .flow = active.flow, .request = {}},
               active.judgement.reason, active.judgement.by_rule, Clock::now());
  if (opening.kind != Opening::Kind::kTls) co_return guest.reset();
  auto sent = co_await guest.write_all(std::as_bytes(std::span(kAccessDenied)));
  if (sent) co_await linger(guest, kLastWordsBytes, kLastWords);
}

// ---- names

DnsHooks GuestNetwork::dns_hooks() {
  return {.judge_name = [this](std::string_view name) { return policy_.name(name); },
          .ask = [this](std::string name) { return ask_name(std::move(name)); },
          .may_give = [this](std::string_view,
                             const Address& address) { return policy_.may_resolve_to(address); },
          .asked =
              [this](const NameAsked& asked) {
                audit_.add(record_of(asked));
                if (asked.result == NameResult::kDenied)
                  denials_.add_name(asked.name, "no rule allows anything of it", Clock::now());
              }};
}

Task<> GuestNetwork::serve_dns(std::unique_ptr<async::Stream> guest) {
  auto connection = std::make_unique<DnsConnection>(executor_, *guest, token_, dns_);
  co_await connection->run();
}

}  // namespace capsem::host::net
