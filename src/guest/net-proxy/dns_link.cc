#include "guest/net-proxy/dns_link.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "guest/net-proxy/dns.h"
#include "wire/codec.h"
#include "wire/ports.h"

namespace capsem::guest::net_proxy {
namespace {

std::string failure_of(std::string_view query) {
  auto answer = server_failure(as_bytes(query));
  return answer ? std::string(as_text(*answer)) : std::string();
}

}  // namespace

bool DnsLink::connect() {
  auto socket = connect_(wire::kDnsPort.number);
  if (!socket) return false;
  socket_ = std::move(*socket);
  ++connections_;
  answers_ = {};
  auto opening = wire::encode<wire::GuestDns>(wire::DnsOpen{.token = token_});
  unsent_ = opening ? std::move(*opening) : std::string();
  return true;
}

void DnsLink::ask(std::string query, bool stream, Done done) {
  auto frame = wire::encode<wire::GuestDns>(
      wire::DnsQuery{.id = ++last_id_, .message = query, .stream = stream});
  bool can_ask = frame && unsent_.size() < kMaxUnsentBytes && (socket_ || connect());
  if (!can_ask) return done(failure_of(query));
  if (waiting_.size() == kMaxWaiting) waiting_.erase(waiting_.begin());
  waiting_.insert_or_assign(last_id_, Waiting{std::move(query), std::move(done)});
  unsent_ += *frame;
  send();
}

void DnsLink::send() {
  if (unsent_.empty()) return;
  auto n = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  // Also while it is being connected. An error is found when it is read.
  if (n > 0) unsent_.erase(0, static_cast<std::size_t>(n));
}

void DnsLink::on_ready() {
  if (!socket_) return;
  send();
  if (!receive()) fail();
}

bool DnsLink::receive() {
  auto space = answers_.prepare();
  auto n = ::recv(socket_.get(), space.data(), space.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
    return !has_failed(socket_.get());
  if (n <= 0) return false;
  answers_.commit(static_cast<std::size_t>(n));
  for (;;) {
    auto message = answers_.next();
    if (!message) return false;
    if (!*message) return true;
    const auto& answer = std::get<wire::DnsAnswer>(**message);
    auto found = waiting_.extract(answer.id);
    if (found) found.mapped().done(answer.message);
  }
}

// The next query connects again.
void DnsLink::fail() {
  socket_.reset();
  unsent_.clear();
  for (auto& [id, waiting] : std::exchange(waiting_, {})) waiting.done(failure_of(waiting.query));
}

}  // namespace capsem::guest::net_proxy
