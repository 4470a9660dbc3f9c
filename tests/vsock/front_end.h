// Plays QEMU and the guest's driver against a Device, in this process: a vhost-user front end over
// a socket pair, guest memory in a memfd, and both rings. What a well-behaved driver does has a
// function; hostile tests write the rings themselves.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "tests/async/loop.h"
#include "vsock/back_end.h"
#include "vsock/guest_memory.h"
#include "vsock/packet.h"
#include "vsock/vhost_user.h"

namespace capsem::vsock {

using async::Loop;

struct Packet {
  Header header;
  std::vector<std::byte> payload;
};

struct FrontEndOptions {
  std::uint64_t features = 1ULL << 32 | 1ULL << 30;
  bool indirect = false;  // chains go through indirect tables
  bool post_buffers = true;
  std::size_t receive_buffer_bytes = 4096;
};

inline constexpr std::uint64_t kIndirectFeature = 1ULL << 28;
inline constexpr std::uint64_t kEventIndexFeature = 1ULL << 29;

class FrontEnd {
 public:
  static constexpr std::size_t kMemoryBytes = 16 << 20;
  static constexpr std::uint64_t kGuestBase = 0x40000000;
  static constexpr std::uint64_t kFrontEndBase = 0x7f0000000000;
  static constexpr std::uint16_t kRingSize = 128;
  static constexpr std::uint64_t kGuestCid = 3;

  struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
  };

  FrontEnd(Loop& loop, Fd socket, FrontEndOptions options = {});

  // --- QEMU ---

  void send_message(Request request, std::span<const std::byte> payload,
                    std::span<const int> fds = {}, std::uint32_t flags = 1);
  // Waits for the answer to a message; empty when the device closed the socket instead.
  std::vector<std::byte> answer();
  std::uint64_t answer_u64();
  // True when the device has closed the socket.
  bool closed();
  void hang_up() { socket_.reset(); }

  void set_up();  // everything from GET_FEATURES on, with SET_MEM_TABLE, to start_rings()
  void start_rings();
  void start_ring(std::size_t index, std::uint16_t base = 0);
  std::uint16_t stop_ring(std::size_t index);
  // Sets a ring that is in use up again, with another eventfd for its kicks.
  void replace_kick(std::size_t index);
  void set_memory_table();
  // Stops both rings, clears the guest's memory and starts anew, as a reboot does.
  void reboot();

  // --- the guest ---

  // One packet, as one chain of header and payload.
  void send(const Header& header, std::span<const std::byte> payload = {});
  // A packet from guest_port to host_port with a large window.
  static Header header(Op op, std::uint32_t guest_port, std::uint32_t host_port);
  void send(Op op, std::uint32_t guest_port, std::uint32_t host_port,
            std::span<const std::byte> payload = {}, std::uint32_t flags = 0);

  // The next packet of the device; fails the test when none comes.
  Packet receive();
  // A packet if there is one now.
  std::optional<Packet> poll();
  // Runs the loop until the device took everything that was sent.
  void settle();

  // --- raw access for hostile tests ---

  std::span<std::byte> memory() const { return mapping_.bytes(); }
  void write_descriptor(std::size_t ring, std::uint16_t index, const Descriptor& descriptor);
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  void make_available(std::size_t ring, std::uint16_t head);
  void set_available_index(std::size_t ring, std::uint16_t index);
  void kick(std::size_t ring);
  // Whether the device has read every kick so far.
  bool kick_was_seen(std::size_t ring) const;
  std::uint16_t used_index(std::size_t ring) const;
  // How often the device has called since this was last asked.
  std::uint64_t calls(std::size_t ring);
  bool no_notify(std::size_t ring) const;

  static std::uint64_t ring_offset(std::size_t ring) { return ring * 0x10000; }
  static std::uint64_t guest(std::uint64_t offset) { return kGuestBase + offset; }

 private:
  struct Ring {
    std::uint16_t available = 0;
    std::uint16_t used_seen = 0;
    std::deque<std::uint16_t> free;
    Fd kick;
    Fd call;
  };

  void reset_rings();
  void post_receive_buffer(std::uint16_t slot);
  void add_chain(std::size_t ring, std::uint16_t slot, std::span<const Descriptor> parts);
  std::uint16_t load16(std::uint64_t offset) const;
  void store16(std::uint64_t offset, std::uint16_t value);
  // The next used chain of a ring: slot and length.
  std::optional<std::pair<std::uint16_t, std::uint32_t>> take_used(std::size_t ring);

  Loop& loop_;
  Fd socket_;
  FrontEndOptions options_;
  Fd file_;
  Mapping mapping_;
  std::array<Ring, 2> rings_;
};

}  // namespace capsem::vsock
