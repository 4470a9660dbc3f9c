// A name server on loopback, UDP and TCP, on a thread of its own so that it answers whatever the
// loop under test does.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "tests/host/net/dns_tools.h"

namespace capsem::host::net {

class NameServer {
 public:
  struct Entry {
    DnsAnswer answer;
    bool silent = false;
    bool over_tcp_alone = false;  // over UDP it is truncated
    std::chrono::milliseconds delay{0};
    std::optional<Message> raw;  // instead of the answer, behind the right ID
  };

  NameServer() : stop_(::eventfd(0, EFD_CLOEXEC)) {
    // A port that is free for both.
    for (int tries = 0; tries < 20 && !bind_both(); ++tries) {
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~NameServer() {
    std::uint64_t one = 1;
    EXPECT_EQ(::write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread_.join();
  }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  void add(const std::string& name, RecordType type, Entry entry) {
    std::lock_guard lock(mutex_);
    zone_[{name, type}] = std::move(entry);
  }
  void add(const std::string& name, const std::vector<std::string>& addresses,
           std::uint32_t ttl = 300, std::vector<std::string> aliases = {}) {
    DnsAnswer answer{.aliases = std::move(aliases), .ttl_seconds = ttl};
    for (const auto& text : addresses)
      answer.addresses.push_back(boost::asio::ip::make_address(text));
    const bool v6 = !answer.addresses.empty() && answer.addresses.front().is_v6();
    add(name, v6 ? RecordType::kAaaa : RecordType::kA, {.answer = std::move(answer)});
  }

  // How often it was asked, over UDP and TCP.
  int asked() const {
    std::lock_guard lock(mutex_);
    return udp_ + tcp_;
  }
  int asked_over_tcp() const {
    std::lock_guard lock(mutex_);
    return tcp_;
  }
  std::vector<std::string> names() const {
    std::lock_guard lock(mutex_);
    return names_;
  }

 private:
  bool bind_both() {
    udp_socket_ = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    tcp_socket_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(udp_socket_.get(), generic, size) != 0) return false;
    if (::getsockname(udp_socket_.get(), generic, &size) != 0) return false;
    port_ = ntohs(address.sin_port);
    return ::bind(tcp_socket_.get(), generic, size) == 0 && ::listen(tcp_socket_.get(), 16) == 0;
  }

  void serve() {
    for (;;) {
      std::array<pollfd, 3> ready{{{stop_.get(), POLLIN, 0},
                                   {udp_socket_.get(), POLLIN, 0},
                                   {tcp_socket_.get(), POLLIN, 0}}};
      if (::poll(ready.data(), ready.size(), -1) < 0) return;
      if (ready[0].revents != 0) return;
      if (ready[1].revents != 0) serve_datagram();
      if (ready[2].revents != 0) serve_connection();
    }
  }

  void serve_datagram() {
    Message message(4096);
    sockaddr_in from{};
    socklen_t size = sizeof from;
    auto* generic = reinterpret_cast<sockaddr*>(&from);
    auto got = ::recvfrom(udp_socket_.get(), message.data(), message.size(), 0, generic, &size);
    if (got <= 0) return;
    message.resize(static_cast<std::size_t>(got));
    if (auto reply = reply_to(message, Transport::kUdp))
      ::sendto(udp_socket_.get(), reply->data(), reply->size(), 0, generic, size);
  }

  void serve_connection() {
    Fd connection(::accept4(tcp_socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    timeval limit{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::array<unsigned char, 2> head{};
    if (::recv(connection.get(), head.data(), 2, MSG_WAITALL) != 2) return;
    Message message(static_cast<std::size_t>(head[0]) << 8 | head[1]);
    if (::recv(connection.get(), message.data(), message.size(), MSG_WAITALL) <= 0) return;
    auto reply = reply_to(message, Transport::kTcp);
    if (!reply) return;
    Message framed{static_cast<std::byte>(reply->size() >> 8),
                   static_cast<std::byte>(reply->size() & 0xFF)};
    framed.insert(framed.end(), reply->begin(), reply->end());
    ::send(connection.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
  }

  std::optional<Message> reply_to(const Message& message, Transport transport) {
    auto query = read_query(message);
    if (!query) return std::nullopt;
    Entry entry{.answer = {.code = ResponseCode::kNameError}};
    {
      std::lock_guard lock(mutex_);
      ++(transport == Transport::kUdp ? udp_ : tcp_);
      names_.push_back(query->name);
      for (const auto& [key, value] : zone_) {
        if (key.first != query->name) continue;
        const bool same = key.second == query->type;
        entry = same ? value : Entry{};
        if (same) break;
      }
    }
    std::this_thread::sleep_for(entry.delay);
    if (entry.silent) return std::nullopt;
    if (entry.raw) {
      auto raw = *entry.raw;
      for (std::size_t i = 0; i < 2 && i < raw.size(); ++i) raw[i] = message[i];
      return raw;
    }
    if (entry.over_tcp_alone && transport == Transport::kUdp) {
      auto cut = write_answer(*query, {}, transport);
      cut[2] |= std::byte{0x02};
      return cut;
    }
    return write_answer(*query, entry.answer, transport);
  }

  Fd stop_;
  Fd udp_socket_;
  Fd tcp_socket_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, RecordType>, Entry> zone_;
  int udp_ = 0;
  int tcp_ = 0;
  std::vector<std::string> names_;
  std::thread thread_;
};

}  // namespace capsem::host::net
