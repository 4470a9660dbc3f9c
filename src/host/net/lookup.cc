#include "host/net/lookup.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "async/latch.h"
#include "host/net/dns_message.h"
#include "host/net/host_name.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;
namespace ip = boost::asio::ip;

// The chain that leads away from `name`. What a name server calls a name need not be one; then the
// addresses are told as those of the name asked.
std::vector<std::string> chain(std::string_view name, const ares_addrinfo& found) {
  std::map<std::string, std::string, std::less<>> targets;
  for (const auto* alias = found.cnames; alias != nullptr; alias = alias->next) {
    if (alias->alias == nullptr || alias->name == nullptr) continue;
    auto from = normal_host(alias->alias);
    auto to = normal_host(alias->name);
    if (!from || !to) return {};
    targets.emplace(*from, *to);
  }
  std::vector<std::string> names;
  for (auto next = targets.find(name); next != targets.end(); next = targets.find(names.back())) {
    if (names.size() == kMaxAliases) return {};  // a circle, too
    names.push_back(next->second);
  }
  return names;
}

Address address_of(const sockaddr& from) {
  if (from.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &from, sizeof v4);
    return ip::make_address_v4(ntohl(v4.sin_addr.s_addr));
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &from, sizeof v6);
  ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return ip::address_v6(bytes);
}

Lookup read_found(std::string_view name, int family, const ares_addrinfo& found) {
  Lookup lookup{.outcome = Lookup::Outcome::kFound};
  auto ttl = kMaxTtl;
  for (const auto* node = found.nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != family || lookup.addresses.size() == kMaxAddresses) continue;
    lookup.addresses.push_back(address_of(*node->ai_addr));
    ttl = std::min(ttl, std::chrono::seconds(node->ai_ttl));
  }
  for (const auto* alias = found.cnames; alias != nullptr; alias = alias->next)
    ttl = std::min(ttl, std::chrono::seconds(alias->ttl));
  lookup.ttl = std::max(ttl, kMinTtl);
  lookup.aliases = chain(name, found);
  if (lookup.addresses.empty()) lookup.outcome = Lookup::Outcome::kNoAddress;
  return lookup;
}

Lookup failed(std::string reason) {
  return {.outcome = Lookup::Outcome::kFailed, .reason = std::move(reason)};
}

Lookup read_status(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
      return {.outcome = Lookup::Outcome::kNoName, .ttl = kMinTtl};
    case ARES_ENODATA:
      return {.outcome = Lookup::Outcome::kNoAddress, .ttl = kMinTtl};
    default:
      return failed(ares_strerror(status));
  }
}

// A channel of c-ares for one question: each has a source port of its own, ends alone, and follows
// the host's settings as they are now. Its descriptors are c-ares's; Asio only watches them.
class Question : public std::enable_shared_from_this<Question> {
 public:
  explicit Question(const asio::any_io_executor& executor)
      : executor_(executor), timer_(executor), ended_(executor) {}
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
  // What is not answered is called back here; nothing of it is waited for any more.
  ~Question() {
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  // ARES_SUCCESS, or why not.
  int open(const LookupOptions& options);
  void ask(std::string name, Family family);
  Task<bool> wait(std::chrono::milliseconds limit) { return ended_.wait(limit); }
  Lookup take() { return std::move(lookup_); }

 private:
  // A descriptor of c-ares while that has it open.
  struct Socket {
    explicit Socket(const asio::any_io_executor& executor) : descriptor(executor) {}
    ~Socket() {
      if (descriptor.is_open()) descriptor.release();
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    struct Side {
      bool wanted = false;
      bool waiting = false;
    };
    asio::posix::stream_descriptor descriptor;
    Side read;
    Side write;
  };
  using SocketPointer = std::shared_ptr<Socket>;

  void socket_changed(int fd, bool readable, bool writable);
  void watch(int fd, const SocketPointer& socket, bool writing);
  bool holds(int fd, const SocketPointer& socket) const {
    auto found = sockets_.find(fd);
    return found != sockets_.end() && found->second == socket;
  }
  void process(int readable, int writable);
  void set_timer();
  void end(int status, ares_addrinfo* found);

  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  async::Latch ended_;
  std::map<int, SocketPointer> sockets_;
  ares_channel channel_ = nullptr;
  std::string name_;
  int family_ = AF_UNSPEC;
  Lookup lookup_;
};

int Question::open(const LookupOptions& options) {
  ares_options settings{};
  settings.timeout = static_cast<int>(options.server_limit.count());
  settings.tries = options.rounds;
  settings.udp_port = options.port;
  settings.tcp_port = options.port;
  settings.ndomains = 0;  // what the guest searches it has searched itself
  settings.sock_state_cb_data = this;
  settings.sock_state_cb = [](void* self, int fd, int readable, int writable) {
    static_cast<Question*>(self)->socket_changed(fd, readable != 0, writable != 0);
  };
  int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT |
             ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB;
  auto resolv_conf = options.resolv_conf;
  if (!resolv_conf.empty()) {
    settings.resolvconf_path = resolv_conf.data();
    mask |= ARES_OPT_RESOLVCONF;
  }
  if (int status = ares_init_options(&channel_, &settings, mask); status != ARES_SUCCESS) {
    channel_ = nullptr;
    return status;
  }
  if (options.servers.empty()) return ARES_SUCCESS;
  return ares_set_servers_ports_csv(channel_, options.servers.c_str());
}

void Question::ask(std::string name, Family family) {
  name_ = std::move(name);
  family_ = family == Family::kIpv4 ? AF_INET : AF_INET6;
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_family = family_;
  hints.ai_socktype = SOCK_STREAM;  // each address once
  ares_getaddrinfo(
      channel_, name_.c_str(), nullptr, &hints,
      [](void* self, int status, int, ares_addrinfo* found) {
        static_cast<Question*>(self)->end(status, found);
      },
      this);
  set_timer();
}

void Question::end(int status, ares_addrinfo* found) {
  lookup_ = status == ARES_SUCCESS && found != nullptr ? read_found(name_, family_, *found)
                                                       : read_status(status);
  if (found != nullptr) ares_freeaddrinfo(found);
  ended_.set();
}

void Question::socket_changed(int fd, bool readable, bool writable) {
  if (!readable && !writable) {
    sockets_.erase(fd);
    return;
  }
  auto& socket = sockets_[fd];
  if (!socket) {
    socket = std::make_shared<Socket>(executor_);
    boost::system::error_code error;
    // A descriptor that cannot be watched gives no answer, and the next server is asked.
    if (socket->descriptor.assign(fd, error)) return;
  }
  socket->read.wanted = readable;
  socket->write.wanted = writable;
  watch(fd, socket, false);
  watch(fd, socket, true);
}

void Question::watch(int fd, const SocketPointer& socket, bool writing) {
  auto side = writing ? &Socket::write : &Socket::read;
  if (!((*socket).*side).wanted || ((*socket).*side).waiting) return;
  ((*socket).*side).waiting = true;
  socket->descriptor.async_wait(
      writing ? asio::posix::descriptor_base::wait_write : asio::posix::descriptor_base::wait_read,
      [weak = weak_from_this(), fd, socket, side, writing](const boost::system::error_code& error) {
        ((*socket).*side).waiting = false;
        auto self = weak.lock();
        if (error || !self || !self->holds(fd, socket)) return;
        if (((*socket).*side).wanted)
          self->process(writing ? ARES_SOCKET_BAD : fd, writing ? fd : ARES_SOCKET_BAD);
        if (self->holds(fd, socket)) self->watch(fd, socket, writing);
      });
}

void Question::process(int readable, int writable) {
  ares_process_fd(channel_, readable, writable);
  set_timer();
}

// For c-ares to give up a server and ask the next.
void Question::set_timer() {
  timeval left{};
  if (ares_timeout(channel_, nullptr, &left) == nullptr) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec) +
                       std::chrono::milliseconds(1));
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    auto self = weak.lock();
    if (!error && self) self->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

}  // namespace

Task<Lookup> look_up(std::string name, Family family, LookupOptions options) {
  auto executor = co_await asio::this_coro::executor;
  auto question = std::make_shared<Question>(executor);
  if (int status = question->open(options); status != ARES_SUCCESS)
    co_return failed(ares_strerror(status));
  question->ask(std::move(name), family);
  bool ended = co_await question->wait(options.limit);
  if (!ended) co_return failed("no name server answered in time");
  co_return question->take();
}

}  // namespace capsem::host::net
