#include "vsock/vhost_user.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace capsem::vsock {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kVersionMask = 3;
constexpr std::uint32_t kReplyFlag = 1U << 2;
constexpr std::uint32_t kNeedReplyFlag = 1U << 3;

constexpr const char* kSubject = "QEMU's vhost-user socket";

std::unexpected<Error> invalid(std::string reason) {
  return fail("read from", kSubject, std::move(reason), "", ErrorKind::kInvalid);
}

// Takes ownership of every descriptor in a control message.
void collect(const msghdr& message, std::vector<Fd>& fds) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(const_cast<msghdr*>(&message), control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

Result<std::optional<Message>> Channel::receive() {
  if (filled_ < sizeof header_) {
    const std::span<std::byte> header = std::as_writable_bytes(std::span(&header_, 1));
    Result<bool> whole = fill(header.subspan(filled_));
    if (!whole || !*whole) {
      return whole ? Result<std::optional<Message>>(std::nullopt) : propagate(whole);
    }
    if ((header_.flags & kVersionMask) != kVersion || (header_.flags & kReplyFlag) != 0) {
      return invalid("a message has the flags " + std::to_string(header_.flags));
    }
    if (header_.size > kMaxPayloadBytes) {
      return invalid("a message of " + std::to_string(header_.size) + " bytes");
    }
    message_.payload.resize(header_.size);
  }
  const std::size_t arrived = filled_ - sizeof header_;
  Result<bool> whole = fill(std::span(message_.payload).subspan(arrived));
  if (!whole || !*whole) {
    return whole ? Result<std::optional<Message>>(std::nullopt) : propagate(whole);
  }
  filled_ = 0;
  message_.request = static_cast<Request>(header_.request);
  message_.wants_reply = (header_.flags & kNeedReplyFlag) != 0;
  return std::exchange(message_, {});
}

// True when `target` is full; false when the socket has no more yet.
Result<bool> Channel::fill(std::span<std::byte> target) {
  while (!target.empty()) {
    iovec part{.iov_base = target.data(), .iov_len = target.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN) {
        return false;
      }
      if (errno != ECONNRESET) {
        return fail_system("read from", kSubject, errno);
      }
      return fail("read from", kSubject, "QEMU closed it", "", ErrorKind::kClosed);
    }
    collect(message, message_.fds);
    if (message_.fds.size() > kMaxFds || (message.msg_flags & MSG_CTRUNC) != 0) {
      return invalid("a message has too many descriptors");
    }
    if (size == 0) {
      return fail("read from", kSubject, "QEMU closed it", "", ErrorKind::kClosed);
    }
    filled_ += static_cast<std::size_t>(size);
    target = target.subspan(static_cast<std::size_t>(size));
  }
  return true;
}

Result<> Channel::reply(Request request, std::span<const std::byte> payload) {
  const FrameHeader header{.request = std::to_underlying(request),
                           .flags = kVersion | kReplyFlag,
                           .size = static_cast<std::uint32_t>(payload.size())};
  std::vector<std::byte> frame(sizeof header + payload.size());
  std::memcpy(frame.data(), &header, sizeof header);
  std::ranges::copy(payload, frame.begin() + sizeof header);
  // QEMU waits for each answer, so the socket always has room; if not, QEMU is out of order.
  const ssize_t size =
      ::send(socket_.get(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size != static_cast<ssize_t>(frame.size())) {
    const bool gone = size < 0 && (errno == EPIPE || errno == ECONNRESET);
    return fail("answer QEMU on", kSubject, gone ? "QEMU closed it" : "QEMU reads no answers", "",
                gone ? ErrorKind::kClosed : ErrorKind::kInvalid);
  }
  return {};
}

}  // namespace capsem::vsock
