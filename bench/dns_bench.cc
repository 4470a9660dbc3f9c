// Answers a second of the DNS service, and how long the slowest hundredth takes: from its cache, of
// names that are denied, and with a name server on loopback behind it.
#include <ares.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "host/net/dns_service.h"

namespace capsem::bench {
namespace {

namespace asio = boost::asio;
using host::net::DnsAnswer;
using host::net::RecordType;
using host::net::Transport;
using Clock = std::chrono::steady_clock;
using Message = std::vector<std::byte>;

constexpr int kNames = 1000;
constexpr int kRounds = 200;

// Gives every name four addresses.
class NameServer {
 public:
  NameServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (!socket_ || ::bind(socket_.get(), generic, size) != 0 ||
        ::getsockname(socket_.get(), generic, &size) != 0)
      std::abort();
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~NameServer() {
    ::shutdown(socket_.get(), SHUT_RDWR);  // wakes the thread, though it is an error by name
    thread_.join();
  }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void serve() {
    DnsAnswer answer{.ttl_seconds = 3600};
    for (unsigned i = 1; i <= 4; ++i)
      answer.addresses.emplace_back(asio::ip::address_v4(0xC0000200 + i));
    std::array<std::byte, 512> buffer{};
    for (;;) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      auto* generic = reinterpret_cast<sockaddr*>(&from);
      auto got = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0, generic, &size);
      if (got <= 0) return;
      auto query = host::net::read_query(std::span(buffer).first(static_cast<std::size_t>(got)));
      if (!query) continue;
      auto reply = write_answer(*query, answer, Transport::kUdp);
      ::sendto(socket_.get(), reply.data(), reply.size(), 0, generic, size);
    }
  }

  Fd socket_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

std::vector<Message> questions(const std::string& domain) {
  std::vector<Message> all;
  all.reserve(kNames);
  for (int i = 0; i < kNames; ++i) {
    unsigned char* bytes = nullptr;
    int size = 0;
    const auto name = "n" + std::to_string(i) + domain;
    if (ares_create_query(name.c_str(), 1, static_cast<int>(RecordType::kA), 1, 1, &bytes, &size,
                          1232) != ARES_SUCCESS)
      std::abort();
    auto view = std::as_bytes(std::span(bytes, static_cast<std::size_t>(size)));
    all.emplace_back(view.begin(), view.end());
    ares_free_string(bytes);
  }
  return all;
}

// One after the other, as over one connection.
Task<> ask(host::net::DnsService& service, const std::vector<Message>& messages, int rounds,
           const char* name) {
  std::vector<double> times;
  times.reserve(messages.size() * static_cast<std::size_t>(rounds));
  const auto begin = Clock::now();
  for (int round = 0; round < rounds; ++round) {
    for (const auto& message : messages) {
      const auto asked = Clock::now();
      auto reply = co_await service.respond(message, Transport::kUdp);
      times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - asked).count());
      if (!reply) std::abort();
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::ranges::sort(times);
  std::printf("%-26s %12.0f %10.1f %10.1f\n", name, static_cast<double>(times.size()) / seconds,
              times[times.size() / 2], times[times.size() * 99 / 100]);
}

Task<> run(host::net::DnsService& service) {
  const auto allowed = questions(".allowed.example");
  const auto denied = questions(".denied.example");
  std::printf("%-26s %12s %10s %10s\n", "", "answers/s", "p50 us", "p99 us");
  co_await ask(service, allowed, 1, "name server on loopback");
  co_await ask(service, allowed, kRounds, "cache");
  co_await ask(service, denied, kRounds, "denied");
}

void measure() {
  NameServer server;
  asio::io_context loop{1};
  host::net::Answers answers;
  host::net::Resolver resolver(loop.get_executor(), {.lookup = {.servers = server.address()}});
  host::net::DnsHooks hooks{
      .judge_name = [](std::string_view name) -> host::net::Decision {
        if (name.ends_with(".allowed.example")) return {host::net::Verdict::kPass, "allowed"};
        return {};
      },
      .may_give = [](std::string_view, const host::net::Address&) { return true; },
      .asked = [](const host::net::NameAsked&) {}};
  host::net::DnsService service(resolver, answers, hooks,
                                {.burst = 2.0 * kNames, .names_per_domain = kNames});
  asio::co_spawn(loop, run(service), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  loop.run();
}

}  // namespace
}  // namespace capsem::bench

int main() {
  capsem::bench::measure();
}
