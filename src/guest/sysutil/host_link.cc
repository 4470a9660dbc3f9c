#include "guest/sysutil/host_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "guest/vsock_address.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/ports.h"

namespace capsem::guest::sysutil {
namespace {

constexpr const char* kHost = "the host";
constexpr timeval kLimit{.tv_sec = 5, .tv_usec = 0};
// Ports that take CAP_NET_BIND_SERVICE, by which the host knows root (vsock/quota.h).
constexpr std::uint32_t kFirstOfRoot = 1;
constexpr std::uint32_t kLastOfRoot = 1023;

Result<> take_port_of_root(const Fd& socket) {
  for (auto port = kLastOfRoot; port >= kFirstOfRoot; --port) {
    auto own = vsock_address(VMADDR_CID_ANY, port);
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) == 0) return {};
    if (errno != EADDRINUSE) return fail_system("connect to", kHost, errno);
  }
  return fail_system("connect to", kHost, EADDRINUSE);
}

}  // namespace

Result<Fd> connect_to_host() {
  Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_system("connect to", kHost, errno);
  if (auto bound = take_port_of_root(socket); !bound) return propagate(bound);
  auto host = vsock_address(VMADDR_CID_HOST, wire::kLifecyclePort.number);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&host), sizeof host) != 0)
    return fail_system("connect to", kHost, errno);
  return socket;
}

Result<wire::LifecycleAnswer> ask(const Fd& host, const wire::LifecycleRequest& request) {
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    ::setsockopt(host.get(), SOL_SOCKET, option, &kLimit, sizeof kLimit);
  auto frame = wire::encode<wire::GuestLifecycle>(request);
  if (!frame) return propagate(frame);
  ssize_t sent = ::send(host.get(), frame->data(), frame->size(), MSG_NOSIGNAL);
  if (sent < 0) return fail_system("ask", kHost, errno);
  wire::MessageDecoder<wire::HostLifecycle> decoder;
  for (;;) {
    auto message = decoder.next();
    if (!message) return propagate(message);
    if (*message) return std::get<wire::LifecycleAnswer>(std::move(**message));
    auto room = decoder.prepare(wire::kTextBytes);
    ssize_t size = ::recv(host.get(), room.data(), room.size(), 0);
    if (size < 0) return fail_system("hear from", kHost, errno);
    if (size == 0)
      return fail("hear from", kHost, "it hung up without an answer", "", ErrorKind::kClosed);
    decoder.commit(static_cast<std::size_t>(size));
  }
}

void wait_for_end(const Fd& host, std::chrono::milliseconds limit) {
  pollfd waiting{host.get(), POLLIN, 0};
  ::poll(&waiting, 1, static_cast<int>(limit.count()));
}

}  // namespace capsem::guest::sysutil
