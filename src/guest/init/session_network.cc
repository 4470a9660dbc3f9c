#include "guest/init/session_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>

#include "base/file.h"
#include "guest/init/connection_programs.h"
#include "guest/init/kernel_settings.h"
#include "guest/init/netlink.h"
#include "guest/init/network.h"
#include "guest/net_descriptors.h"
#include "guest/paths.h"
#include "wire/messages.h"

namespace capsem::guest::init {
namespace {

constexpr const char* kOwnNamespace = "/proc/self/ns/net";

// The routing table whose addresses are all local. Others are the kernel's own.
constexpr std::uint32_t kCaughtTable = 100;
constexpr std::uint32_t kCaughtPriority = 100;  // behind the table "local", before "main"
constexpr std::uint16_t kDnsPort = 53;

constexpr int kBacklog = 1024;

// Addresses that nobody has (RFC 7600, "IPv4 dummy address"; RFC 6666, discard-only), so that the
// proxy's sockets take no port of loopback.
constexpr const char* kSocketAddress4 = "192.0.0.8";
constexpr const char* kSocketAddress6 = "100::1";
constexpr std::uint16_t kTcpPort = 1;

struct Kind {
  const char* name;
  int family;
  int type;
  std::uint16_t port;  // answers to datagrams come from it
};
constexpr Kind kTcp4Kind{"IPv4 connections of sessions", AF_INET, SOCK_STREAM, kTcpPort};
constexpr Kind kTcp6Kind{"IPv6 connections of sessions", AF_INET6, SOCK_STREAM, kTcpPort};
constexpr Kind kUdp4Kind{"IPv4 datagrams of sessions", AF_INET, SOCK_DGRAM, kDnsPort};
constexpr Kind kUdp6Kind{"IPv6 datagrams of sessions", AF_INET6, SOCK_DGRAM, kDnsPort};

int bind_to_nobody(const Fd& socket, const Kind& kind) {
  sockaddr_in six_less{};
  sockaddr_in6 six{};
  if (kind.family == AF_INET) {
    six_less.sin_family = AF_INET;
    six_less.sin_port = htons(kind.port);
    ::inet_pton(AF_INET, kSocketAddress4, &six_less.sin_addr);
    return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&six_less), sizeof six_less);
  }
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(kind.port);
  ::inet_pton(AF_INET6, kSocketAddress6, &six.sin6_addr);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&six), sizeof six);
}

// With IP_TRANSPARENT, so that it may answer from any address.
Result<Fd> open_socket(const Kind& kind) {
  Fd socket(::socket(kind.family, kind.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_system("make a socket for", kind.name, errno);
  bool is_ipv4 = kind.family == AF_INET;
  int level = is_ipv4 ? SOL_IP : SOL_IPV6;
  int on = 1;
  bool done = ::setsockopt(socket.get(), level, is_ipv4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on,
                           sizeof on) == 0;
  if (kind.type == SOCK_DGRAM)
    done = done && ::setsockopt(socket.get(), level, is_ipv4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on,
                                sizeof on) == 0;
  done = done && bind_to_nobody(socket, kind) == 0;
  if (kind.type == SOCK_STREAM) done = done && ::listen(socket.get(), kBacklog) == 0;
  if (!done) return fail_system("set up a socket for", kind.name, errno);
  return socket;
}

Result<NetSockets> open_sockets() {
  NetSockets sockets;
  const std::pair<Fd&, const Kind&> rows[] = {{sockets.tcp4, kTcp4Kind},
                                              {sockets.tcp6, kTcp6Kind},
                                              {sockets.udp4, kUdp4Kind},
                                              {sockets.udp6, kUdp6Kind}};
  for (const auto& [socket, kind] : rows) {
    auto opened = open_socket(kind);
    if (!opened) return propagate(opened);
    socket = std::move(*opened);
  }
  return sockets;
}

// TCP and DNS find every address on loopback, with 127.0.0.1 as their own; for anything else an
// address that is not loopback's is unreachable.
Result<> add_routes() {
  auto netlink = Netlink::open();
  if (!netlink) return propagate(netlink);
  for (int family : {AF_INET, AF_INET6}) {
    std::vector<std::uint8_t> source;
    if (family == AF_INET) source = {127, 0, 0, 1};
    const Netlink::DefaultRoute routes[] = {
        {family, kCaughtTable, RTN_LOCAL, source},
        {family, RT_TABLE_MAIN, RTN_UNREACHABLE, {}},
    };
    const Netlink::Rule rules[] = {
        {family, kCaughtPriority, IPPROTO_TCP, std::nullopt, kCaughtTable},
        {family, kCaughtPriority + 1, IPPROTO_UDP, kDnsPort, kCaughtTable},
    };
    for (const auto& route : routes)
      if (auto added = netlink->add(route); !added) return added;
    for (const auto& rule : rules)
      if (auto added = netlink->add(rule); !added) return added;
  }
  return {};
}

// Without waiting for a minute, as TIME_WAIT would have it: all connections have one source
// address.
Result<> apply_settings() {
  return write_setting("/proc/sys/net/ipv4/tcp_tw_reuse", "1\n");
}

Result<NetSockets> set_up() {
  if (auto started = start_loopback(); !started) return propagate(started);
  if (auto added = add_routes(); !added) return propagate(added);
  if (auto applied = apply_settings(); !applied) return propagate(applied);
  return open_sockets();
}

// As ip-netns(8) does it.
Result<> show_at(const char* path) {
  auto file = open_file(path, O_RDONLY | O_CREAT | O_EXCL, 0444);
  if (!file) return propagate(file);
  if (::mount(kOwnNamespace, path, nullptr, MS_BIND, nullptr) != 0)
    return fail_system("show the network namespace at", path, errno);
  return {};
}

// In a file that nobody can change.
Result<Fd> file_of(const std::string& token) {
  Fd file(::memfd_create("token", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return fail_system("make", "a file in memory", errno);
  if (auto written = write_full(file, as_bytes(token), "the token"); !written)
    return propagate(written);
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) !=
      0)
    return fail_system("seal", "a file in memory", errno);
  return file;
}

Result<std::string> make_token() {
  std::string token(wire::kNetTokenBytes, '\0');
  if (::getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size()))
    return fail_system("make", "a token for the network's service", errno);
  return token;
}

Result<SessionNetwork> make_inside() {
  auto sockets = set_up();
  if (!sockets) return propagate(sockets);
  if (auto shown = show_at(kSessionNetwork); !shown) return propagate(shown);
  auto network = open_file(kOwnNamespace, O_RDONLY);
  if (!network) return propagate(network);
  auto sessions = open_file(kSessionsGroup, O_RDONLY | O_DIRECTORY);
  if (!sessions) return propagate(sessions);
  auto programs = catch_connections(*sockets, *network, *sessions);
  if (!programs) return propagate(programs);
  auto token = make_token();
  if (!token) return propagate(token);
  auto token_file = file_of(*token);
  if (!token_file) return propagate(token_file);

  SessionNetwork made{
      .descriptors = {}, .programs = std::move(programs->running), .token = std::move(*token)};
  made.descriptors.resize(kNetDescriptors);
  const std::pair<NetDescriptor, Fd*> rows[] = {
      {NetDescriptor::kTcp4, &sockets->tcp4},
      {NetDescriptor::kTcp6, &sockets->tcp6},
      {NetDescriptor::kUdp4, &sockets->udp4},
      {NetDescriptor::kUdp6, &sockets->udp6},
      {NetDescriptor::kConnections, &programs->connections},
      {NetDescriptor::kToken, &*token_file},
  };
  for (const auto& [descriptor, fd] : rows)
    made.descriptors.at(static_cast<std::size_t>(descriptor) - kFirstNetDescriptor) =
        std::move(*fd);
  return made;
}

}  // namespace

Result<SessionNetwork> make_session_network() {
  auto own = open_file(kOwnNamespace, O_RDONLY);
  if (!own) return propagate(own);
  if (::unshare(CLONE_NEWNET) != 0)
    return fail_system("make", "the network namespace of sessions", errno);
  auto made = make_inside();
  if (::setns(own->get(), CLONE_NEWNET) != 0)
    return fail_system("return to", "the machine's network namespace", errno);
  return made;
}

}  // namespace capsem::guest::init
