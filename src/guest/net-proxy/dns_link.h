// The one connection on which the host answers the DNS queries of sessions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "guest/net-proxy/host_socket.h"
#include "wire/frame.h"

namespace capsem::guest::net_proxy {

class DnsLink {
 public:
  // Queries that wait for an answer; of more than that, the oldest gets none.
  static constexpr std::size_t kMaxWaiting = 1024;
  // Queries that the host has not taken yet; beyond that, one fails.
  static constexpr std::size_t kMaxUnsentBytes = 256 << 10;

  // Gets the answer, or an empty text when there is none.
  using Done = std::function<void(std::string_view answer)>;

  DnsLink(ConnectToHost connect, std::string token)
      : connect_(std::move(connect)), token_(std::move(token)) {}

  // Sends a query, for which it connects first when it has to. `done` is called once, at once when
  // the host cannot be asked; not for a query that is given up.
  void ask(std::string query, bool stream, Done done);

  // To be called when fd() is ready for what it waits for.
  void on_ready();

  int fd() const { return socket_.get(); }  // -1 without a connection
  bool waits_to_write() const { return !unsent_.empty(); }
  // Grows with each connection: fd() may be the same number again.
  std::uint64_t connections() const { return connections_; }

 private:
  struct Waiting {
    std::string query;
    Done done;
  };
  bool connect();
  void send();
  bool receive();
  void fail();

  ConnectToHost connect_;
  std::string token_;
  Fd socket_;
  std::uint64_t connections_ = 0;
  std::string unsent_;
  wire::MessageDecoder<wire::HostDns> answers_;
  std::uint32_t last_id_ = 0;
  std::map<std::uint32_t, Waiting> waiting_;  // by id, oldest first
};

}  // namespace capsem::guest::net_proxy
