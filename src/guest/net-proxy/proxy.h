// The way of a session's connection to the host: accepted, asked of who made it, opened on the
// host, then handed on byte by byte. One thread, which never waits for any of them.
#pragma once

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "guest/net-proxy/dns_datagrams.h"
#include "guest/net-proxy/dns_link.h"
#include "guest/net-proxy/host_socket.h"
#include "guest/net-proxy/looker.h"
#include "guest/net-proxy/poller.h"
#include "guest/net-proxy/relay.h"

namespace capsem::guest::net_proxy {

class Proxy {
 public:
  // Connections at a time: more wait to be accepted. Two descriptors each, of the 4,096 that a
  // process may have.
  static constexpr std::size_t kMaxFlows = 2000;
  // A connection reads its share of this at once, and holds what the other side does not take. When
  // connections stall one by one, the earlier ones with larger shares, that adds up to three times
  // as much. Beside it the kernel's buffers of sockets count.
  static constexpr std::size_t kBufferBytes = 32 << 20;
  static constexpr std::size_t kMaxReadBytes = 64 << 10;
  static constexpr std::size_t kMinReadBytes = 4 << 10;
  static constexpr std::size_t kMaxDnsStreams = 32;
  static constexpr std::size_t kMaxDnsStreamQueries = 16;  // without an answer, of each
  static constexpr std::size_t kMaxQuestions = 64;         // that the looker has at a time
  static constexpr std::chrono::seconds kDnsIdleLimit{10};
  static constexpr std::chrono::milliseconds kAcceptPause{100};  // without descriptors

  struct Sockets {
    std::array<Fd, 2> listeners;  // IPv4, IPv6
    std::array<Fd, 2> datagrams;
    Fd looker;  // of start_looker()
    std::uint32_t dns_port = 53;
  };

  static Result<Proxy> create(Sockets sockets, std::string token, ConnectToHost connect);

  // Returns only when nothing can be handed on any more.
  Result<> run();
  // What has happened, or will within `limit`.
  Result<> run_once(std::optional<std::chrono::milliseconds> limit);

  std::size_t flows() const { return flows_.size(); }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Kind : std::uint8_t {
    kListener,
    kDatagrams,
    kLooker,
    kDnsLink,
    kDnsStream,
    kClient,
    kHost
  };

  // A connection, from its acceptance on.
  struct Flow {
    Fd client;
    Fd host;  // not open until it is known who made the connection
    std::string address;
    std::uint32_t port = 0;
    Direction up;    // from the client to the host
    Direction down;  // and back
    std::uint32_t client_watched = 0;
    std::uint32_t host_watched = 0;
  };

  // A connection to port 53, on which queries come one after the other.
  struct DnsStream {
    Fd client;
    std::string received;
    std::size_t unanswered = 0;
    bool ended = false;  // the client sends no more, and still gets its answers
    Clock::time_point last_used;
    std::uint32_t watched = 0;
  };

  Proxy(Sockets sockets, std::string token, ConnectToHost connect, Poller poller);

  static std::uint64_t source(Kind kind, std::uint64_t number);
  void handle(const Poller::Event& event);
  void watch_common();
  std::optional<std::chrono::milliseconds> next_wake() const;

  void accept(const Fd& listener);
  void begin(Fd client, const sockaddr_storage& from);
  void ask_questions();
  void take_answers();
  void open(std::uint64_t number, const Maker& maker);
  void move(std::uint64_t number, std::uint32_t events);
  void watch(std::uint64_t number, Flow& flow) const;
  void end_by_reset(std::uint64_t number);

  void answer_datagrams(std::size_t which);
  void begin_dns(Fd client);
  void read_dns(std::uint64_t number);
  bool ask_dns(std::uint64_t number, DnsStream& stream);
  void answer_dns(std::uint64_t number, std::string_view answer);
  void close_idle_dns();

  Sockets sockets_;
  std::string token_;
  ConnectToHost connect_;
  Poller poller_;
  DnsLink dns_;
  std::vector<std::byte> scratch_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, Flow> flows_;
  std::map<std::uint64_t, DnsStream> dns_streams_;  // oldest first
  std::deque<Question> questions_;                  // not asked yet
  std::size_t asked_ = 0;
  Clock::time_point accept_again_;  // not before
  bool looker_is_gone_ = false;
  std::array<std::uint32_t, 2> listeners_watched_{};
  std::array<std::uint32_t, 2> datagrams_watched_{};
  std::uint32_t looker_watched_ = 0;
  std::uint32_t dns_watched_ = 0;
  std::uint64_t dns_connection_ = 0;  // the one that is watched
};

}  // namespace capsem::guest::net_proxy
