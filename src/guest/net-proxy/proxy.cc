#include "guest/net-proxy/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "wire/codec.h"
#include "wire/messages.h"
#include "wire/ports.h"

namespace capsem::guest::net_proxy {
namespace {

constexpr int kAcceptAtOnce = 64;
constexpr int kDatagramsAtOnce = 64;
constexpr unsigned kKindShift = 56;
constexpr std::size_t kLengthBytes = 2;  // RFC 1035, section 4.2.2: each message follows its length

// An address and port as bytes in network order; IPv4 in 4 bytes, also where it came IPv4-mapped.
struct Place {
  std::string address;
  std::uint32_t port = 0;
};

Place place_of(const sockaddr_storage& socket_address) {
  if (socket_address.ss_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(socket_address);
    return {.address = {reinterpret_cast<const char*>(&four.sin_addr), sizeof four.sin_addr},
            .port = ntohs(four.sin_port)};
  }
  const auto& six = reinterpret_cast<const sockaddr_in6&>(socket_address);
  return {.address = {reinterpret_cast<const char*>(&six.sin6_addr), sizeof six.sin6_addr},
          .port = ntohs(six.sin6_port)};
}

std::array<std::uint8_t, 16> as_ipv6(const std::string& address) {
  std::array<std::uint8_t, 16> six{};
  if (address.size() == sizeof(in_addr)) six[10] = six[11] = 0xff;
  std::memcpy(six.data() + six.size() - address.size(), address.data(), address.size());
  return six;
}

// The peer reads an error, not the end of what it was sent.
void reset(Fd socket) {
  linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

std::uint32_t interest(bool read, bool write) {
  return (read ? EPOLLIN : 0U) | (write ? EPOLLOUT : 0U);
}

}  // namespace

Proxy::Proxy(Sockets sockets, std::string token, ConnectToHost connect, Poller poller)
    : sockets_(std::move(sockets)),
      token_(std::move(token)),
      connect_(std::move(connect)),
      poller_(std::move(poller)),
      dns_(connect_, token_),
      scratch_(kMaxReadBytes) {}

Result<Proxy> Proxy::create(Sockets sockets, std::string token, ConnectToHost connect) {
  auto poller = Poller::create();
  if (!poller) return propagate(poller);
  return Proxy(std::move(sockets), std::move(token), std::move(connect), std::move(*poller));
}

Result<> Proxy::run() {
  for (;;)
    if (auto done = run_once(std::nullopt); !done) return done;
}

Result<> Proxy::run_once(std::optional<std::chrono::milliseconds> limit) {
  watch_common();
  auto wake = next_wake();
  auto events = poller_.wait(limit && wake ? std::min(limit, wake) : limit ? limit : wake);
  if (!events) return propagate(events);
  for (const auto& event : *events) handle(event);
  close_idle_dns();
  if (looker_is_gone_)
    return fail("hear of", "the programs that make connections", "the other process has ended");
  return {};
}

std::uint64_t Proxy::source(Kind kind, std::uint64_t number) {
  return static_cast<std::uint64_t>(kind) << kKindShift | number;
}

void Proxy::handle(const Poller::Event& event) {
  const auto number = event.source & ((std::uint64_t{1} << kKindShift) - 1);
  switch (static_cast<Kind>(event.source >> kKindShift)) {
    case Kind::kListener:
      return accept(sockets_.listeners.at(number));
    case Kind::kDatagrams:
      return answer_datagrams(number);
    case Kind::kLooker:
      return take_answers();
    case Kind::kDnsLink:
      if (number == dns_.connections()) dns_.on_ready();
      return;
    case Kind::kDnsStream:
      return read_dns(number);
    case Kind::kClient:
    case Kind::kHost:
      return move(number, event.events);
  }
}

// What is watched apart from connections.
void Proxy::watch_common() {
  bool accepts = flows_.size() < kMaxFlows && Clock::now() >= accept_again_;
  for (std::size_t i = 0; i < 2; ++i) {
    poller_.watch(sockets_.listeners.at(i).get(), source(Kind::kListener, i),
                  interest(accepts, false), listeners_watched_.at(i));
    poller_.watch(sockets_.datagrams.at(i).get(), source(Kind::kDatagrams, i),
                  interest(true, false), datagrams_watched_.at(i));
  }
  poller_.watch(sockets_.looker.get(), source(Kind::kLooker, 0), interest(true, false),
                looker_watched_);
  // The kernel forgets a socket that is closed.
  if (dns_.fd() < 0 || dns_.connections() != dns_connection_) dns_watched_ = 0;
  dns_connection_ = dns_.connections();
  if (dns_.fd() >= 0)
    poller_.watch(dns_.fd(), source(Kind::kDnsLink, dns_connection_),
                  interest(true, dns_.waits_to_write()), dns_watched_);
}

std::optional<std::chrono::milliseconds> Proxy::next_wake() const {
  auto now = Clock::now();
  std::optional<Clock::time_point> wake;
  if (now < accept_again_) wake = accept_again_;
  for (const auto& [number, stream] : dns_streams_)
    wake = std::min(wake.value_or(Clock::time_point::max()), stream.last_used + kDnsIdleLimit);
  if (!wake) return std::nullopt;
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(*wake - now),
                  std::chrono::milliseconds(0));
}

// ---- connections

void Proxy::accept(const Fd& listener) {
  for (int i = 0; i < kAcceptAtOnce && flows_.size() < kMaxFlows; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    Fd client(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &size,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client) {
      begin(std::move(client), from);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    // Those that wait are accepted when there are descriptors again.
    if (errno != EAGAIN) accept_again_ = Clock::now() + kAcceptPause;
    break;
  }
  ask_questions();
}

void Proxy::begin(Fd client, const sockaddr_storage& from) {
  sockaddr_storage to{};
  socklen_t size = sizeof to;
  if (::getsockname(client.get(), reinterpret_cast<sockaddr*>(&to), &size) != 0) return;
  auto target = place_of(to);
  int on = 1;
  ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (target.port == sockets_.dns_port) return begin_dns(std::move(client));
  auto maker = place_of(from);
  auto number = ++last_number_;
  questions_.push_back({.id = number,
                        .connection = {.local_address = as_ipv6(maker.address),
                                       .remote_address = as_ipv6(target.address),
                                       .local_port = maker.port,
                                       .remote_port = htonl(target.port)}});
  flows_.emplace(number, Flow{.client = std::move(client),
                              .host = {},
                              .address = std::move(target.address),
                              .port = target.port,
                              .up = {},
                              .down = {}});
}

void Proxy::ask_questions() {
  while (!questions_.empty() && asked_ < kMaxQuestions &&
         ask(sockets_.looker, questions_.front())) {
    questions_.pop_front();
    ++asked_;
  }
}

void Proxy::take_answers() {
  for (;;) {
    auto answer = next_answer(sockets_.looker);
    if (!answer) {
      looker_is_gone_ = true;
      return;
    }
    if (!*answer) break;
    --asked_;
    open((*answer)->id, (*answer)->maker);
  }
  ask_questions();
}

void Proxy::open(std::uint64_t number, const Maker& maker) {
  auto& flow = flows_.at(number);
  auto opening = wire::encode<wire::GuestNet>(wire::NetOpen{.token = token_,
                                                            .address = flow.address,
                                                            .port = flow.port,
                                                            .pid = maker.pid,
                                                            .uid = maker.uid,
                                                            .executable = maker.executable});
  auto host = connect_(wire::kNetPort.number);
  if (!opening || !host) return end_by_reset(number);
  flow.host = std::move(*host);
  flow.up.put(as_bytes(*opening));
  watch(number, flow);
}

void Proxy::move(std::uint64_t number, std::uint32_t events) {
  auto found = flows_.find(number);
  if (found == flows_.end()) return;
  auto& flow = found->second;
  auto fair = std::clamp(kBufferBytes / (2 * flows_.size()), kMinReadBytes, kMaxReadBytes);
  auto scratch = std::span(scratch_).first(fair);
  bool failed =
      (events & EPOLLERR) != 0 && (has_failed(flow.client.get()) || has_failed(flow.host.get()));
  bool well = !failed && flow.up.move(flow.client.get(), flow.host.get(), scratch, flow.down) &&
              flow.down.move(flow.host.get(), flow.client.get(), scratch, flow.up);
  if (!well) return end_by_reset(number);
  if (flow.up.is_over() && flow.down.is_over())
    flows_.erase(found);
  else
    watch(number, flow);
}

void Proxy::watch(std::uint64_t number, Flow& flow) const {
  poller_.watch(flow.client.get(), source(Kind::kClient, number),
                interest(flow.up.waits_to_read(), flow.down.waits_to_write()), flow.client_watched);
  poller_.watch(flow.host.get(), source(Kind::kHost, number),
                interest(flow.down.waits_to_read(), flow.up.waits_to_write()), flow.host_watched);
}

void Proxy::end_by_reset(std::uint64_t number) {
  auto flow = flows_.extract(number);
  if (flow) reset(std::move(flow.mapped().client));
}

// ---- DNS

void Proxy::answer_datagrams(std::size_t which) {
  for (int i = 0; i < kDatagramsAtOnce; ++i) {
    const auto& socket = sockets_.datagrams.at(which);
    auto datagram = receive_datagram(socket);
    if (!datagram) return;
    dns_.ask(std::move(datagram->query), false,
             [this, which, asker = datagram->asker](std::string_view answer) {
               if (!answer.empty()) send_datagram(sockets_.datagrams.at(which), asker, answer);
             });
  }
}

void Proxy::begin_dns(Fd client) {
  if (dns_streams_.size() == kMaxDnsStreams) dns_streams_.erase(dns_streams_.begin());
  auto number = ++last_number_;
  auto& stream = dns_streams_[number];
  stream.client = std::move(client);
  stream.last_used = Clock::now();
  poller_.watch(stream.client.get(), source(Kind::kDnsStream, number), interest(true, false),
                stream.watched);
}

void Proxy::read_dns(std::uint64_t number) {
  auto found = dns_streams_.find(number);
  if (found == dns_streams_.end()) return;
  auto& stream = found->second;
  auto n = ::recv(stream.client.get(), scratch_.data(), wire::kDnsQueryBytes, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0)
    stream.received.append(reinterpret_cast<const char*>(scratch_.data()),
                           static_cast<std::size_t>(n));
  if (n == 0 && stream.unanswered > 0 && !stream.ended) {
    stream.ended = true;
    poller_.watch(stream.client.get(), source(Kind::kDnsStream, number), interest(false, false),
                  stream.watched);
    return;
  }
  if (n <= 0 || !ask_dns(number, stream)) dns_streams_.erase(number);
}

// False for a stream that is to be closed.
bool Proxy::ask_dns(std::uint64_t number, DnsStream& stream) {
  while (stream.received.size() >= kLengthBytes) {
    auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(stream.received[i]); };
    auto length = static_cast<std::size_t>(byte(0) << 8 | byte(1));
    if (length > wire::kDnsQueryBytes || stream.unanswered == kMaxDnsStreamQueries) return false;
    if (stream.received.size() < kLengthBytes + length) return true;
    auto query = stream.received.substr(kLengthBytes, length);
    stream.received.erase(0, kLengthBytes + length);
    stream.last_used = Clock::now();
    ++stream.unanswered;
    dns_.ask(std::move(query), true,
             [this, number](std::string_view answer) { answer_dns(number, answer); });
    // An answer that could not be given closed it.
    if (!dns_streams_.contains(number)) return true;
  }
  return true;
}

void Proxy::answer_dns(std::uint64_t number, std::string_view answer) {
  auto found = dns_streams_.find(number);
  if (found == dns_streams_.end()) return;
  auto& stream = found->second;
  --stream.unanswered;
  if (answer.empty()) {
    dns_streams_.erase(found);
    return;
  }
  std::string text = {static_cast<char>(answer.size() >> 8), static_cast<char>(answer.size())};
  text += answer;
  // A client that does not read its answers is not waited for.
  auto sent = ::send(stream.client.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  bool was_last = stream.ended && stream.unanswered == 0;
  if (was_last || sent != static_cast<ssize_t>(text.size())) dns_streams_.erase(found);
}

void Proxy::close_idle_dns() {
  auto limit = Clock::now() - kDnsIdleLimit;
  std::erase_if(dns_streams_, [&](const auto& row) { return row.second.last_used <= limit; });
}

}  // namespace capsem::guest::net_proxy
