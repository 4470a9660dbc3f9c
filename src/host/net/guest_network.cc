#include "host/net/guest_network.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <utility>

#include "async/event.h"
#include "async/join.h"
#include "async/limit.h"
#include "async/task_group.h"
#include "base/fd.h"
#include "host/net/framed.h"
#include "host/net/tcp_connect.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::host::net {
namespace {

using Clock = std::chrono::steady_clock;

// A record of type alert (RFC 8446, 5.1 and 6): fatal, access_denied.
constexpr std::array<unsigned char, 7> kAccessDenied = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x31};
// For a client to read its answer.
constexpr std::chrono::seconds kLastWords{2};

std::optional<Flow> flow_of(const wire::NetOpen& open) {
  constexpr std::uint32_t kLastPort = 65535;
  auto address = address_of_bytes(open.address);
  if (!address || open.port == 0 || open.port > kLastPort) return std::nullopt;
  return Flow{.address = plain(*address),
              .port = static_cast<std::uint16_t>(open.port),
              .process = {.pid = open.pid, .uid = open.uid, .executable = open.executable}};
}

// Until the client has read what was written, or for a while.
Task<bool> drop_rest(async::Stream& guest) {
  std::array<std::byte, 4096> dropped;
  for (;;) {
    auto size = co_await guest.read_some(dropped);
    if (!size || *size == 0) co_return true;
  }
}

}  // namespace

// Puts a connection among those that a new policy may end, for as long as it exists.
class GuestNetwork::Registration {
 public:
  Registration(GuestNetwork& network, Active active)
      : network_(network),
        place_(network.active_.insert(network.active_.end(), std::move(active))) {}
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  ~Registration() { network_.active_.erase(place_); }

 private:
  GuestNetwork& network_;
  std::list<Active>::iterator place_;
};

GuestNetwork::GuestNetwork(const boost::asio::any_io_executor& executor, Options options,
                           Denials::Tell denied)
    : executor_(executor),
      policy_(std::move(options.policy)),
      denials_(std::move(denied)),
      resolver_(executor, options.resolver),
      dns_(resolver_, answers_, dns_hooks()),
      token_known_(executor) {}

void GuestNetwork::set_token(std::string token) {
  if (token_known_.is_set()) return;
  token_ = std::move(token);
  token_known_.set();
}

Task<bool> GuestNetwork::has_token(std::string_view token) {
  co_await token_known_.wait();
  co_return token_.size() == wire::kNetTokenBytes&& token.size() == token_.size() &&
      CRYPTO_memcmp(token.data(), token_.data(), token.size()) == 0;
}

void GuestNetwork::change(Policy policy) {
  policy_ = std::move(policy);
  // What was refused may be allowed now.
  denials_.clear();
  for (auto& active : active_) {
    bool allowed = policy_.connection(active.host, active.flow).verdict == Verdict::kPass ||
                   policy_.connection("", active.flow).verdict == Verdict::kPass;
    if (!allowed) active.guest.reset();
  }
}

// ---- connections

Task<> GuestNetwork::serve_flow(std::unique_ptr<async::Stream> guest) {
  auto frame = co_await async::with_limit(kFirstMessageLimit,
                                          read_frame(*guest, wire::limit_bytes<wire::GuestNet>()));
  if (!frame || !*frame) co_return;
  auto message = wire::decode<wire::GuestNet>(**frame);
  if (!message) co_return;
  const auto& open = std::get<wire::NetOpen>(*message);
  bool trusted = co_await has_token(open.token);
  auto flow = flow_of(open);
  if (trusted && flow) co_await serve(*guest, std::move(*flow));
}

Task<> GuestNetwork::serve(async::Stream& guest, Flow flow) {
  auto opening = co_await read_opening(guest, flow.port);
  if (!opening) co_return;
  auto judgement = judge_flow(policy_, answers_, flow, *opening, Clock::now());
  switch (judgement.verdict) {
    case Verdict::kPass:
      co_return co_await pass(guest, flow, judgement.host, *opening);
    case Verdict::kInspect:
    case Verdict::kDeny:
      co_return co_await refuse(guest, flow, *opening, judgement);
  }
}

Task<> GuestNetwork::pass(async::Stream& guest, const Flow& flow, const std::string& host,
                          const Opening& opening) {
  const Registration registration(*this, {.flow = flow, .host = host, .guest = guest});
  auto server = co_await connect_tcp(flow.address, flow.port);
  if (!server) co_return guest.reset();
  auto sent = co_await (*server)->write_all(opening.bytes);
  if (!sent) co_return guest.reset();
  // An error of either side is the other's to notice: its stream is reset.
  [[maybe_unused]] auto joined = co_await async::join(guest, **server);
}

Task<> GuestNetwork::refuse(async::Stream& guest, const Flow& flow, const Opening& opening,
                            const FlowJudgement& judgement) {
  denials_.add({.host = judgement.host, .flow = flow, .request = {}}, judgement.reason, true,
               Clock::now());
  if (opening.kind != Opening::Kind::kTls) co_return guest.reset();
  auto sent = co_await guest.write_all(std::as_bytes(std::span(kAccessDenied)));
  if (!sent) co_return;
  guest.shutdown_write();
  co_await async::with_limit(kLastWords, drop_rest(guest));
}

// ---- names

DnsHooks GuestNetwork::dns_hooks() {
  return {.judge_name = [this](std::string_view name) { return policy_.name(name); },
          .may_give =
              [this](std::string_view, const Address& address) {
                const Flow any{.address = address, .port = 0, .process = {}};
                return policy_.resolved_address(address, any).verdict == Verdict::kPass;
              },
          .asked =
              [this](const NameAsked& asked) {
                if (asked.result != NameResult::kDenied) return;
                denials_.add_name(asked.name, "no rule allows anything of it", Clock::now());
              }};
}

// The answers to one connection's queries, written one after the other.
class GuestNetwork::DnsConnection {
 public:
  DnsConnection(GuestNetwork& network, async::Stream& guest)
      : network_(network), guest_(guest), tasks_(network.executor_) {}

  Task<> run() {
    co_await read();
    tasks_.cancel();
    co_await tasks_.join();
  }

 private:
  Task<> read() {
    wire::MessageDecoder<wire::GuestDns> decoder;
    bool opened = false;
    for (;;) {
      auto message = decoder.next();
      if (!message) co_return;
      if (!*message) {
        auto size = co_await read_some(decoder, opened);
        if (!size || *size == 0) co_return;
        decoder.commit(*size);
        continue;
      }
      if (auto* open = std::get_if<wire::DnsOpen>(&**message); open != nullptr) {
        opened = co_await network_.has_token(open->token);
        if (!opened) co_return;
      } else if (!opened) {
        co_return;
      } else {
        while (answering_ == kMaxQueries) co_await answered_.wait();
        ++answering_;
        tasks_.spawn(answer(std::get<wire::DnsQuery>(std::move(**message))));
      }
    }
  }

  // Only who has said nothing yet is not waited for.
  Task<Result<std::size_t>> read_some(wire::MessageDecoder<wire::GuestDns>& decoder, bool opened) {
    if (opened) co_return co_await guest_.read_some(decoder.prepare());
    auto size = co_await async::with_limit(kFirstMessageLimit, guest_.read_some(decoder.prepare()));
    co_return size ? *size : Result<std::size_t>(std::size_t{0});
  }

  Task<> answer(wire::DnsQuery query) {
    auto text = co_await network_.answer_query(query);
    auto frame =
        wire::encode<wire::HostDns>(wire::DnsAnswer{.id = query.id, .message = std::move(text)});
    if (frame) unsent_ += *frame;
    co_await write();
    --answering_;
    answered_.notify();
  }

  Task<> write() {
    if (writing_) co_return;
    writing_ = true;
    while (!unsent_.empty()) {
      auto sending = std::exchange(unsent_, {});
      auto sent = co_await guest_.write_all(as_bytes(sending));
      if (!sent) break;
    }
    writing_ = false;
  }

  GuestNetwork& network_;
  async::Stream& guest_;
  std::size_t answering_ = 0;
  async::Event answered_;
  std::string unsent_;
  bool writing_ = false;
  async::TaskGroup tasks_;
};

Task<> GuestNetwork::serve_dns(std::unique_ptr<async::Stream> guest) {
  auto connection = std::make_unique<DnsConnection>(*this, *guest);
  co_await connection->run();
}

Task<std::string> GuestNetwork::answer_query(const wire::DnsQuery& query) {
  auto transport = query.stream ? Transport::kTcp : Transport::kUdp;
  auto answer = co_await dns_.respond(as_bytes(query.message), transport);
  if (!answer) co_return std::string();
  co_return std::string(as_text(*answer));
}

}  // namespace capsem::host::net
