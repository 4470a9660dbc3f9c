// Answers DNS on a loopback address, over UDP and TCP, in one thread and in bounded memory.
#pragma once

#include <netinet/in.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::net_proxy {

class DnsServer {
 public:
  static constexpr std::size_t kMaxConnections = 16;  // the oldest goes when one more comes
  static constexpr std::size_t kMaxTcpQueryBytes = 4096;
  static constexpr std::chrono::seconds kIdleLimit{5};  // for a TCP connection without a query

  // Listens on 127.0.0.1 at `port`; 0 takes a free one.
  static Result<DnsServer> listen(std::uint16_t port);

  std::uint16_t port() const { return port_; }

  // Waits for something to happen and answers what there is. An error means that nothing can be
  // answered any more.
  Result<> serve_once();

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    Fd socket;
    std::vector<std::byte> received;
    Clock::time_point last_query;
  };

  DnsServer(Fd udp, Fd tcp, std::uint16_t port)
      : udp_(std::move(udp)), tcp_(std::move(tcp)), port_(port) {}
  void answer_datagrams();
  void accept_connections();
  // False when the connection is to be closed.
  static bool answer_connection(Connection& connection);
  void close_idle(Clock::time_point now);

  Fd udp_;
  Fd tcp_;
  std::uint16_t port_;
  std::vector<Connection> connections_;  // oldest first
};

}  // namespace capsem::guest::net_proxy
