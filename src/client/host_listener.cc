#include "client/host_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

namespace capsem::client {
namespace {

constexpr int kBacklog = 128;
constexpr const char* kLoopback = "127.0.0.1";
constexpr const char* kAdvice =
    "give a port number, 127.0.0.1:PORT, [::1]:PORT or the path of a Unix socket";

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&storage); }
};

std::optional<in_port_t> port_number(std::string_view text) {
  in_port_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Of the loopback interface; nothing for any other, and for what is none.
std::optional<Address> loopback_address(std::string host, in_port_t port) {
  if (host == "localhost") host = kLoopback;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  Address address;
  auto* four = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &four->sin_addr) == 1) {
    constexpr unsigned kLoopbackNet = 127;
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    address.size = sizeof *four;
    if (ntohl(four->sin_addr.s_addr) >> 24 != kLoopbackNet) return std::nullopt;
    return address;
  }
  auto* six = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET6, host.c_str(), &six->sin6_addr) != 1 ||
      !IN6_IS_ADDR_LOOPBACK(&six->sin6_addr))
    return std::nullopt;
  six->sin6_family = AF_INET6;
  six->sin6_port = htons(port);
  address.size = sizeof *six;
  return address;
}

Result<Fd> listen_at(Address& address, const std::string& name) {
  int family = address.storage.ss_family;
  Fd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int on = 1;
  bool is_tcp = family != AF_UNIX;
  if (socket && is_tcp) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!socket || ::bind(socket.get(), address.generic(), address.size) != 0 ||
      ::listen(socket.get(), kBacklog) != 0)
    return fail_system("listen at", name, errno);
  return socket;
}

// What a killed listener left.
bool is_left(Address& address, const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return socket && ::connect(socket.get(), address.generic(), address.size) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

Result<HostListener> HostListener::open(std::string_view where) {
  return where.find('/') != std::string_view::npos ? open_path(where) : open_port(where);
}

Result<HostListener> HostListener::open_path(std::string_view where) {
  std::string path(where);
  Address address;
  auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() >= sizeof local->sun_path)
    return fail("listen at", path,
                "the path of a Unix socket has at most " +
                    std::to_string(sizeof local->sun_path - 1) + " bytes",
                "", ErrorKind::kInvalid);
  local->sun_family = AF_UNIX;
  path.copy(local->sun_path, path.size());
  address.size = sizeof *local;
  if (is_left(address, path)) ::unlink(path.c_str());
  constexpr mode_t kOwnerOnly = 0177;
  mode_t before = ::umask(kOwnerOnly);
  auto socket = listen_at(address, path);
  ::umask(before);
  if (!socket) return propagate(socket);
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error);
  return HostListener(std::move(*socket), path, absolute);
}

Result<HostListener> HostListener::open_port(std::string_view where) {
  std::string name(where);
  auto colon = name.rfind(':');
  auto host = colon == std::string::npos ? kLoopback : name.substr(0, colon);
  auto port =
      port_number(std::string_view(name).substr(colon == std::string::npos ? 0 : colon + 1));
  auto address = port ? loopback_address(host, *port) : std::nullopt;
  if (!address)
    return fail("listen at", "'" + name + "'", "it is no port of the loopback interface", kAdvice,
                ErrorKind::kInvalid);
  if (colon == std::string::npos) name = host + (":" + name);
  auto socket = listen_at(*address, name);
  if (!socket) return propagate(socket);
  if (*port != 0) return HostListener(std::move(*socket), name, {});
  if (::getsockname(socket->get(), address->generic(), &address->size) != 0)
    return fail_system("listen at", name, errno);
  // At the same place in both families.
  auto number = ntohs(reinterpret_cast<const sockaddr_in*>(&address->storage)->sin_port);
  return HostListener(std::move(*socket),
                      name.substr(0, name.rfind(':') + 1) + std::to_string(number), {});
}

HostListener::~HostListener() {
  if (socket_ && !path_.empty()) ::unlink(path_.c_str());
}

Result<Fd> HostListener::accept() const {
  Fd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
    return fail_system("take a connection at", name_, errno);
  int on = 1;
  // Of a Unix socket it is none.
  if (connection) ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return connection;
}

}  // namespace capsem::client
