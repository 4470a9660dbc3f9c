// The vhost-user back end: answers QEMU's messages and keeps what they set up, which is the guest's
// memory, the features, and for each ring its place and its eventfds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "vsock/guest_memory.h"
#include "vsock/vhost_user.h"
#include "vsock/virtqueue.h"

namespace capsem::vsock {

inline constexpr std::size_t kReceiveRing = 0;   // to the guest
inline constexpr std::size_t kTransmitRing = 1;  // from the guest
inline constexpr std::size_t kEventRing = 2;     // QEMU keeps this one to itself
inline constexpr std::size_t kRings = 3;

struct RingSettings {
  Virtqueue::Layout layout;
  bool enabled = false;
  Fd kick;   // written by the guest's side when it added chains
  Fd call;   // to be written when chains were used; may be missing
  Fd error;  // to be written when the ring broke; may be missing

  bool ready() const { return enabled && kick; }
};

// What the owner of the rings has to do. All of it happens within BackEnd::handle().
class RingOwner {
 public:
  // The ring's settings are ready() and may be used, or changed while it was in use.
  virtual void start_ring(std::size_t index) = 0;
  // The ring is no longer to be touched; returns where it stood in the available chains.
  virtual std::uint16_t stop_ring(std::size_t index) = 0;
  // Interrupts of the ring go to another descriptor from now on.
  virtual void call_changed(std::size_t index) = 0;
  // The device is reset; its rings have been stopped.
  virtual void reset() = 0;

 protected:
  ~RingOwner() = default;
};

class BackEnd {
 public:
  BackEnd(RingOwner& owner, std::uint64_t guest_cid) : owner_(&owner), guest_cid_(guest_cid) {}

  // Carries out one message; the payload of its answer, empty when it has none. kInvalid when the
  // message breaks the protocol, after which the connection with QEMU is to be given up.
  Result<std::vector<std::byte>> handle(Message message);

  const GuestMemory& memory() const { return *memory_; }
  const RingSettings& ring(std::size_t index) const { return rings_[index]; }

 private:
  struct Row;
  static const Row* find(Request request);
  static std::span<const Row> table();

  using Answer = Result<std::vector<std::byte>>;
  Answer get_features(Message& message);
  Answer set_features(Message& message);
  Answer nothing(Message& message);
  Answer reset(Message& message);
  Answer set_memory_table(Message& message);
  Answer set_ring_size(Message& message);
  Answer set_ring_addresses(Message& message);
  Answer set_ring_base(Message& message);
  Answer get_ring_base(Message& message);
  Answer set_ring_kick(Message& message);
  Answer set_ring_call(Message& message);
  Answer set_ring_error(Message& message);
  Answer get_protocol_features(Message& message);
  Answer set_protocol_features(Message& message);
  Answer get_queue_count(Message& message);
  Answer set_ring_enable(Message& message);
  Answer get_config(Message& message);

  Result<std::size_t> ring_index(std::uint32_t number, Request request) const;
  Result<std::size_t> take_ring_fd(Message& message, Fd RingSettings::* place);
  void restart(std::size_t index);

  RingOwner* owner_;
  std::uint64_t guest_cid_;
  std::uint64_t features_ = 0;
  std::unique_ptr<GuestMemory> memory_ = std::make_unique<GuestMemory>();
  std::array<RingSettings, kRings> rings_;
};

}  // namespace capsem::vsock
