// The header of a virtio-vsock packet (virtio 1.2, 5.10.6): its fields, and how they lie in memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace capsem::vsock {

inline constexpr std::uint64_t kHostCid = 2;
inline constexpr std::uint16_t kTypeStream = 1;
inline constexpr std::size_t kHeaderBytes = 44;
// The largest payload Linux puts into one packet (VIRTIO_VSOCK_MAX_PKT_BUF_SIZE).
inline constexpr std::size_t kMaxPayloadBytes = 64 * 1024;

enum class Op : std::uint16_t {
  kInvalid = 0,
  kRequest = 1,
  kResponse = 2,
  kReset = 3,
  kShutdown = 4,
  kData = 5,
  kCreditUpdate = 6,
  kCreditRequest = 7,
};

// Bits of Header::flags of a kShutdown packet.
inline constexpr std::uint32_t kShutdownReceive = 1;
inline constexpr std::uint32_t kShutdownSend = 2;
inline constexpr std::uint32_t kShutdownBoth = kShutdownReceive | kShutdownSend;

struct Header {
  std::uint64_t source_cid = 0;
  std::uint64_t destination_cid = 0;
  std::uint32_t source_port = 0;
  std::uint32_t destination_port = 0;
  std::uint32_t payload_bytes = 0;
  std::uint16_t type = kTypeStream;
  Op op = Op::kInvalid;
  std::uint32_t flags = 0;
  std::uint32_t buffer_bytes = 0;     // buf_alloc: the sender's receive buffer
  std::uint32_t forwarded_bytes = 0;  // fwd_cnt: what it has taken out of it so far, modulo 2^32

  bool operator==(const Header&) const = default;
};

// `op` may hold a value that has no name: it comes from the guest.
Header decode(std::span<const std::byte, kHeaderBytes> bytes);
std::array<std::byte, kHeaderBytes> encode(const Header& header);

// A packet to the guest. The payload belongs to whoever writes it and is to be copied at once.
struct Outgoing {
  Header header;
  std::span<const std::byte> payload;
};

}  // namespace capsem::vsock
