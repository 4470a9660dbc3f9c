#include "guest/net-proxy/dns_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "guest/net-proxy/dns.h"

namespace capsem::guest::net_proxy {
namespace {

// How many datagrams or connections are taken before the others get their turn.
constexpr int kAtOnce = 64;

Result<Fd> bind_loopback(int type, std::uint16_t port) {
  auto name = "127.0.0.1:" + std::to_string(port) + (type == SOCK_DGRAM ? "/udp" : "/tcp");
  Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_system("make a socket for", name, errno);
  int on = 1;
  // After a restart, connections of the process before must not be in the way.
  if (type == SOCK_STREAM) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_system("listen on", name, errno);
  if (type == SOCK_STREAM && ::listen(socket.get(), DnsServer::kMaxConnections) != 0)
    return fail_system("listen on", name, errno);
  return socket;
}

Result<std::uint16_t> port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return fail_system("read the port of", "a socket", errno);
  return ntohs(address.sin_port);
}

}  // namespace

Result<DnsServer> DnsServer::listen(std::uint16_t port) {
  auto udp = bind_loopback(SOCK_DGRAM, port);
  if (!udp) return propagate(udp);
  auto bound = port_of(*udp);
  if (!bound) return propagate(bound);
  auto tcp = bind_loopback(SOCK_STREAM, *bound);
  if (!tcp) return propagate(tcp);
  return DnsServer(std::move(*udp), std::move(*tcp), *bound);
}

Result<> DnsServer::serve_once() {
  std::vector<pollfd> waiting = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
  for (const auto& connection : connections_)
    waiting.push_back({connection.socket.get(), POLLIN, 0});
  int limit_ms =
      connections_.empty() ? -1 : static_cast<int>(std::chrono::milliseconds(kIdleLimit).count());
  if (::poll(waiting.data(), waiting.size(), limit_ms) < 0 && errno != EINTR)
    return fail_system("wait for", "DNS queries", errno);

  for (std::size_t i = connections_.size(); i-- > 0;)
    if (waiting[i + 2].revents != 0 && !answer_connection(connections_[i]))
      connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i));
  close_idle(Clock::now());
  if (waiting[0].revents != 0) answer_datagrams();
  if (waiting[1].revents != 0) accept_connections();
  return {};
}

void DnsServer::answer_datagrams() {
  std::array<std::byte, kMaxUdpQueryBytes + 1> buffer{};
  for (int i = 0; i < kAtOnce; ++i) {
    sockaddr_in sender{};
    socklen_t size = sizeof sender;
    auto n = ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0,
                        reinterpret_cast<sockaddr*>(&sender), &size);
    if (n < 0) return;
    if (static_cast<std::size_t>(n) == buffer.size()) continue;  // cut off: not a query of ours
    auto answer = refuse(std::span(buffer).first(static_cast<std::size_t>(n)));
    // One that cannot be sent is lost, as datagrams may be.
    if (answer)
      ::sendto(udp_.get(), answer->data(), answer->size(), 0,
               reinterpret_cast<const sockaddr*>(&sender), size);
  }
}

void DnsServer::accept_connections() {
  for (int i = 0; i < kAtOnce; ++i) {
    Fd socket(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    if (connections_.size() == kMaxConnections) connections_.erase(connections_.begin());
    connections_.push_back({std::move(socket), {}, Clock::now()});
  }
}

bool DnsServer::answer_connection(Connection& connection) {
  std::array<std::byte, kMaxTcpQueryBytes> buffer{};
  auto n = ::recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  auto& received = connection.received;
  received.insert(received.end(), buffer.begin(), buffer.begin() + n);
  // RFC 1035, section 4.2.2: each message follows its length in two bytes.
  constexpr std::size_t kLengthBytes = 2;
  while (received.size() >= kLengthBytes) {
    auto length =
        std::to_integer<std::size_t>(received[0]) << 8 | std::to_integer<std::size_t>(received[1]);
    if (length > kMaxTcpQueryBytes) return false;
    if (received.size() < kLengthBytes + length) return true;
    auto answer = refuse(std::span(received).subspan(kLengthBytes, length));
    if (!answer) return false;
    auto size = answer->size();
    answer->insert(answer->begin(), {std::byte(size >> 8), std::byte(size & 0xff)});
    // A client that does not read its answers is not waited for.
    auto sent = ::send(connection.socket.get(), answer->data(), answer->size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(answer->size())) return false;
    received.erase(received.begin(),
                   received.begin() + static_cast<std::ptrdiff_t>(kLengthBytes + length));
    connection.last_query = Clock::now();
  }
  return true;
}

void DnsServer::close_idle(Clock::time_point now) {
  std::erase_if(connections_, [now](const Connection& connection) {
    return now - connection.last_query >= kIdleLimit;
  });
}

}  // namespace capsem::guest::net_proxy
