// The messages of the vhost-user protocol (QEMU docs/interop/vhost-user.rst): their framing on the
// socket, with the descriptors that travel beside them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::vsock {

enum class Request : std::uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemoryTable = 5,
  kSetRingSize = 8,
  kSetRingAddresses = 9,
  kSetRingBase = 10,
  kGetRingBase = 11,
  kSetRingKick = 12,
  kSetRingCall = 13,
  kSetRingError = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueCount = 17,
  kSetRingEnable = 18,
  kGetConfig = 24,
  kSetConfig = 25,
  kResetDevice = 34,
};

struct Message {
  Request request{};
  bool wants_reply = false;  // REPLY_ACK: a request without an answer of its own asks for one
  std::vector<std::byte> payload;
  std::vector<Fd> fds;
};

// The back end's end of the socket. Nothing here waits.
class Channel {
 public:
  static constexpr std::size_t kMaxPayloadBytes = 512;
  static constexpr std::size_t kMaxFds = 8;

  explicit Channel(Fd socket) : socket_(std::move(socket)) {}

  const Fd& socket() const { return socket_; }

  // The next whole message, or nothing while more of it has to arrive. kClosed at the end of the
  // stream; kInvalid for what is no vhost-user message.
  Result<std::optional<Message>> receive();

  Result<> reply(Request request, std::span<const std::byte> payload);

 private:
  struct FrameHeader {
    std::uint32_t request;
    std::uint32_t flags;
    std::uint32_t size;
  };

  Result<bool> fill(std::span<std::byte> target);

  Fd socket_;
  FrameHeader header_{};
  std::size_t filled_ = 0;  // bytes of header and payload that have arrived
  Message message_;
};

}  // namespace capsem::vsock
