#include "guest/doctor/vsock_socket.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "guest/doctor/deadline.h"
#include "guest/vsock_address.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint32_t kMostAtOnce = 256;
// Descriptors that are left to the rest of this process.
constexpr std::uint32_t kSpareDescriptors = 32;

Fd open_socket(int flags) {
  return Fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

int connect_to(const Fd& socket, std::uint32_t cid, std::uint32_t port) {
  auto address = vsock_address(cid, port);
  int result = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  return result == 0 ? 0 : errno;
}

std::uint32_t at_once() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kSpareDescriptors) return 1;
  return static_cast<std::uint32_t>(
      std::min<rlim_t>(kMostAtOnce, limit.rlim_cur - kSpareDescriptors));
}

// Sockets whose connections are awaited together, and used for one port after the other: to make
// and to release one costs more than to connect it.
class Batch {
 public:
  explicit Batch(PortScan& scan) : scan_(scan) {}

  void connect(std::uint32_t port) {
    if (ports_.size() == sockets_.size()) sockets_.emplace_back();
    auto& socket = sockets_[ports_.size()];
    if (!socket) socket = open_socket(SOCK_NONBLOCK);
    int error = socket ? connect_to(socket, VMADDR_CID_HOST, port) : errno;
    if (error == EINPROGRESS) return ports_.push_back(port);
    settle(port, error);
    socket.reset();
  }

  // The answers come in the order of the requests: when the last is there, so are the others.
  void wait(Clock::time_point deadline) {
    std::vector<pollfd> waiting;
    waiting.reserve(ports_.size());
    for (std::size_t i = 0; i < ports_.size(); ++i)
      waiting.push_back({sockets_[i].get(), POLLOUT, 0});
    while (!all_answered(waiting)) {
      int left = milliseconds_until(deadline);
      if (left == 0) break;
      ::poll(&waiting.back(), 1, left);
    }
    for (std::size_t i = 0; i < ports_.size(); ++i)
      take_answer(sockets_[i], ports_[i], waiting[i].revents != 0);
    ports_.clear();
  }

 private:
  static bool all_answered(std::vector<pollfd>& waiting) {
    return ::poll(waiting.data(), waiting.size(), 0) == static_cast<int>(waiting.size());
  }

  static bool set_waiting(const Fd& socket, bool on) {
    int nonblocking = on ? 0 : 1;
    return ::ioctl(socket.get(), FIONBIO, &nonblocking) == 0;
  }

  // A second connect(2), with the same address, gives what became of the first; where that was
  // refused, the socket may be connected anew after it.
  void take_answer(Fd& socket, std::uint32_t port, bool answered) {
    if (!answered || !set_waiting(socket, true)) {
      scan_.unanswered.push_back(port);
      return socket.reset();
    }
    int error = connect_to(socket, VMADDR_CID_HOST, port);
    if (error == EISCONN) error = 0;
    settle(port, error);
    if (!is_refusal(error) || !set_waiting(socket, false)) socket.reset();
  }

  void settle(std::uint32_t port, int error) {
    if (error == 0)
      scan_.connected.push_back(port);
    else if (is_refusal(error))
      ++scan_.refused;
    else
      scan_.unanswered.push_back(port);
  }

  PortScan& scan_;
  std::vector<Fd> sockets_;
  std::vector<std::uint32_t> ports_;  // in flight, each on the socket at its place
};

}  // namespace

int connect_vsock(std::uint32_t cid, std::uint32_t port) {
  auto socket = open_socket(0);
  return socket ? connect_to(socket, cid, port) : errno;
}

std::optional<std::string> answer_of_host(std::uint32_t port, std::string_view text,
                                          std::chrono::milliseconds limit) {
  constexpr std::size_t kMostBytes = 4096;
  auto deadline = Clock::now() + limit;
  auto socket = open_socket(0);
  if (!socket || connect_to(socket, VMADDR_CID_HOST, port) != 0) return std::nullopt;
  [[maybe_unused]] auto sent = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
  std::string answer;
  std::array<char, 512> part;
  for (;;) {
    pollfd ready{socket.get(), POLLIN, 0};
    if (::poll(&ready, 1, milliseconds_until(deadline)) != 1) return std::nullopt;
    auto size = ::recv(socket.get(), part.data(), part.size(), 0);
    if (size <= 0 || answer.size() > kMostBytes) return answer;
    answer.append(part.data(), static_cast<std::size_t>(size));
  }
}

bool is_refusal(int error) {
  return error == ECONNRESET || error == ECONNREFUSED;
}

std::string in_words(int error) {
  return error == 0 ? "it connected" : std::strerror(error);
}

PortScan scan_host(std::uint32_t first, std::uint32_t last, std::chrono::milliseconds limit) {
  PortScan scan;
  auto deadline = Clock::now() + limit;
  Batch batch(scan);
  for (std::uint32_t begin = first, step = at_once(); begin <= last; begin += step) {
    auto end = std::min(last, begin + step - 1);
    for (auto port = begin; port <= end; ++port) batch.connect(port);
    batch.wait(deadline);
  }
  return scan;
}

}  // namespace capsem::guest::doctor
