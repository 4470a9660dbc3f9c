#include "base/message_socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace capsem {
namespace {

constexpr const char* kSubject = "a message";

std::unexpected<Error> closed(const char* attempted) {
  return fail(attempted, kSubject, "the other process is gone", "", ErrorKind::kClosed);
}

}  // namespace

Result<std::pair<Fd, Fd>> message_socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
    return fail_system("make", "a pair of sockets", errno);
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

Result<> send_message(const Fd& socket, std::string_view text, std::span<const int> fds) {
  if (text.empty() || text.size() > kMaxMessageBytes || fds.size() > kMaxMessageFds)
    return fail("send", kSubject, "it is empty or too large", "", ErrorKind::kInvalid);
  // sendmsg(2) does not write through the pointer.
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t n = -1;
  do {
    n = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return closed("send");
  if (n < 0) return fail_system("send", kSubject, errno);
  return {};
}

Result<std::optional<Message>> receive_message(const Fd& socket) {
  Message message;
  message.text.resize(kMaxMessageBytes);
  iovec part{.iov_base = message.text.data(), .iov_len = message.text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t n = -1;
  do {
    n = ::recvmsg(socket.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  if (n < 0 && errno == ECONNRESET) return closed("receive");
  if (n < 0) return fail_system("receive", kSubject, errno);
  for (cmsghdr* part_of = CMSG_FIRSTHDR(&header); part_of != nullptr;
       part_of = CMSG_NXTHDR(&header, part_of)) {
    if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
    std::array<int, kMaxMessageFds> numbers{};
    std::size_t bytes = std::min(part_of->cmsg_len - CMSG_LEN(0), sizeof numbers);
    std::memcpy(numbers.data(), CMSG_DATA(part_of), bytes);
    for (std::size_t i = 0; i < bytes / sizeof(int); ++i) message.fds.emplace_back(numbers.at(i));
  }
  if (n == 0) return closed("receive");
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail("receive", kSubject, "it is too large", "", ErrorKind::kInvalid);
  message.text.resize(static_cast<std::size_t>(n));
  return message;
}

}  // namespace capsem
