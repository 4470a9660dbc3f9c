#include "tests/vsock/vm/guest_socket.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>

namespace capsem::vsock {
namespace {

constexpr const char* kHostInUserNetwork = "10.0.2.2";
constexpr int kBacklog = 1024;

sockaddr_vm vsock_address(unsigned cid, std::uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

template <class Address>
Result<Fd> connect_with(int family, const Address& address, const std::string& name) {
  Fd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_system("connect to", name, errno);
  }
  return socket;
}

}  // namespace

Result<Fd> connect_to(const std::string& peer) {
  const std::size_t colon = peer.find(':');
  const auto port = static_cast<std::uint32_t>(std::strtoul(peer.c_str() + colon + 1, nullptr, 10));
  if (peer.starts_with("vsock:")) {
    return connect_with(AF_VSOCK, vsock_address(VMADDR_CID_HOST, port), peer);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, kHostInUserNetwork, &address.sin_addr);
  Result<Fd> socket = connect_with(AF_INET, address, peer);
  if (socket) {
    const int on = 1;
    ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return socket;
}

Result<Fd> listen_on(std::uint32_t port) {
  Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_vm address = vsock_address(VMADDR_CID_ANY, port);
  if (!socket ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return fail_system("listen on", "vsock port " + std::to_string(port), errno);
  }
  return socket;
}

bool send_all(const Fd& socket, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t size = ::send(socket.get(), data.data(), data.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size <= 0) {
      return false;
    }
    data = data.subspan(static_cast<std::size_t>(size));
  }
  return true;
}

std::optional<std::size_t> receive_all(const Fd& socket, std::span<std::byte> buffer) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t size = ::recv(socket.get(), buffer.data() + done, buffer.size() - done, 0);
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0) {
      return std::nullopt;
    }
    if (size == 0) {
      break;
    }
    done += static_cast<std::size_t>(size);
  }
  return done;
}

std::optional<std::string> receive_line(const Fd& socket) {
  std::string line;
  std::byte byte{};
  while (receive_all(socket, std::span(&byte, 1)) == 1U) {
    if (byte == std::byte{'\n'}) {
      return line;
    }
    line += static_cast<char>(byte);
  }
  return std::nullopt;
}

bool send_line(const Fd& socket, std::string_view line) {
  return send_all(socket, as_bytes(std::string(line) + "\n"));
}

}  // namespace capsem::vsock
