#include "fuzz/vsock_front_end.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace capsem::vsock {
namespace {

template <class... T>
std::vector<std::byte> payload(const T&... values) {
  std::vector<std::byte> bytes;
  const auto add = [&](const auto& value) {
    const auto part = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
  (add(values), ...);
  return bytes;
}

Fd event() {
  return Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

}  // namespace

FuzzFrontEnd::FuzzFrontEnd() : file_(::memfd_create("guest", MFD_CLOEXEC)), event_(event()) {
  if (::ftruncate(file_.get(), kMemoryBytes) != 0) {
    std::abort();
  }
  mapping_ = Mapping::create(file_, 0, kMemoryBytes).value();
  auto sockets = socket_pair();
  DeviceOptions options;
  options.on_broken_ring = [](const Error&) {};
  options.on_refused = [](const Error&) {};
  options.on_end = [](const Error&) {};
  options.limit = {.connections = 8, .receive_buffer_bytes = 512 * 1024};
  options.host_reserve = {.connections = 4, .receive_buffer_bytes = 256 * 1024};
  device_ = Device::create(context_.get_executor(), std::move(sockets->first), options).value();
  socket_ = std::move(sockets->second);
  const Result<> listening = device_->listen(
      kPort, {.connections = 4, .receive_buffer_bytes = 256 * 1024},
      [this](std::unique_ptr<Stream> stream) { streams_.push_back(std::move(stream)); });
  if (!listening) {
    std::abort();
  }
}

void FuzzFrontEnd::send(Request request, std::span<const std::byte> payload, std::size_t fds,
                        bool events) {
  const std::uint32_t frame[3] = {std::to_underlying(request), 1,
                                  static_cast<std::uint32_t>(payload.size())};
  std::vector<std::byte> bytes(sizeof frame + payload.size());
  std::memcpy(bytes.data(), frame, sizeof frame);
  std::ranges::copy(payload, bytes.begin() + sizeof frame);
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const std::vector<int> numbers(fds, events ? event_.get() : file_.get());
  const std::size_t size = numbers.size() * sizeof(int);
  std::vector<std::byte> control(CMSG_SPACE(size));
  if (fds != 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), numbers.data(), size);
  }
  ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void FuzzFrontEnd::send_raw(std::span<const std::byte> bytes) {
  ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void FuzzFrontEnd::set_up(std::uint64_t features) {
  const std::uint64_t zero = 0;
  send(Request::kSetFeatures, payload(features));
  send(Request::kSetMemoryTable,
       payload(std::uint32_t{1}, std::uint32_t{0}, zero, std::uint64_t{kMemoryBytes}, zero, zero),
       1);
  for (std::uint32_t ring = 0; ring < 2; ++ring) {
    const std::uint64_t start = ring * kRingBytes;
    send(Request::kSetRingSize, payload(ring, std::uint32_t{kRingSize}));
    send(Request::kSetRingBase, payload(ring, std::uint32_t{0}));
    send(Request::kSetRingAddresses,
         payload(ring, std::uint32_t{0}, start, start + kUsed, start + kAvailable, zero));
    send(Request::kSetRingCall, payload(std::uint64_t{ring}), 1, true);
    event_ = event();
    send(Request::kSetRingKick, payload(std::uint64_t{ring}), 1, true);
    kicks_[ring] = std::exchange(event_, event());
    send(Request::kSetRingEnable, payload(ring, std::uint32_t{1}));
  }
  run();
}

void FuzzFrontEnd::kick(std::size_t ring) {
  const std::uint64_t one = 1;
  if (::write(kicks_[ring].get(), &one, sizeof one) != sizeof one) {
    std::abort();
  }
}

void FuzzFrontEnd::run() {
  context_.restart();
  context_.poll();
  std::byte answers[4096];
  while (::recv(socket_.get(), answers, sizeof answers, MSG_DONTWAIT) > 0) {
  }
}

}  // namespace capsem::vsock
