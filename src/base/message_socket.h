// Sockets between processes of ours that carry whole messages, with descriptors beside the text
// (unix(7): SOCK_SEQPACKET, SCM_RIGHTS).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

inline constexpr std::size_t kMaxMessageBytes = 64 << 10;
inline constexpr std::size_t kMaxMessageFds = 16;

struct Message {
  std::string text;
  std::vector<Fd> fds;  // close-on-exec
};

Result<std::pair<Fd, Fd>> message_socket_pair();

// Sends `text`, which is not empty, and copies of `fds`, which stay the caller's. kClosed when the
// other end is gone, kInvalid over one of the limits.
Result<> send_message(const Fd& socket, std::string_view text, std::span<const int> fds);

// The next message, without waiting: nothing when none has arrived. kClosed when the other end is
// gone, kInvalid for a message over one of the limits.
Result<std::optional<Message>> receive_message(const Fd& socket);

}  // namespace capsem
