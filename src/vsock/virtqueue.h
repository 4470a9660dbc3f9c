// A split virtqueue (virtio 1.2, 2.7) seen from the device. The guest owns the memory it lies in
// and may change it at any moment: every field is copied once, and the copy is what is checked.
// An error means that the ring is broken and must not be used further.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "vsock/guest_memory.h"
#include "vsock/segments.h"

namespace capsem::vsock {

// A descriptor chain: the buffers the guest lends for one packet, within its memory.
struct Chain {
  std::uint16_t head = 0;
  std::vector<Segment> readable;  // from the guest to the device
  std::vector<Segment> writable;  // from the device to the guest
  std::size_t readable_bytes = 0;
  std::size_t writable_bytes = 0;
};

class Virtqueue {
 public:
  static constexpr std::size_t kMaxSize = 1024;

  struct Layout {
    std::uint16_t size = 0;            // descriptors; a power of two
    std::uint16_t next_available = 0;  // where to go on in the ring of available chains
    std::uint64_t descriptors = 0;     // addresses in the front end's address space
    std::uint64_t available = 0;
    std::uint64_t used = 0;
    bool indirect = false;     // VIRTIO_F_INDIRECT_DESC was negotiated
    bool event_index = false;  // VIRTIO_F_EVENT_IDX was negotiated
  };

  // `memory` must outlive the queue.
  static Result<Virtqueue> create(const GuestMemory& memory, const Layout& layout);

  // Takes the next chain the guest made available into `chain`; false when there is none.
  Result<bool> pop(Chain& chain);

  // Gives a chain back with `written` bytes in it. The guest sees it after publish().
  void push(const Chain& chain, std::uint32_t written);

  std::uint16_t size() const { return size_; }
  // How many chains were pushed and not yet shown to the guest.
  std::uint16_t unpublished() const { return static_cast<std::uint16_t>(next_used_ - published_); }

  // Shows the guest what was pushed; true when it asked to be interrupted for that.
  bool publish();

  // Asks once more about what publish() answered with false since the call before the last; true
  // when the guest wants the interrupt after all. See Device::Core::settle() for the reason.
  bool interrupt_missed();
  // Whether the guest has made chains available that pop() has not taken.
  bool has_available() const;

  // Asks the guest for no kicks while the device looks at the queue anyway.
  void disable_kicks();
  // Asks for a kick at the next chain; true when there is one already, which causes no kick.
  bool enable_kicks();

  // For VHOST_USER_GET_VRING_BASE.
  std::uint16_t next_available() const { return next_available_; }

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
  };

  Virtqueue(const GuestMemory& memory, const Layout& layout, std::span<std::byte> descriptors,
            std::span<std::byte> available, std::span<std::byte> used);

  static Descriptor descriptor(std::span<const std::byte> table, std::size_t index);
  Result<> follow(std::span<const std::byte> table, std::size_t index, bool indirect_allowed,
                  Chain& chain) const;
  Result<> follow_indirect(const Descriptor& descriptor, Chain& chain) const;
  Result<> add(const Descriptor& descriptor, Chain& chain) const;
  bool wants_interrupt(std::uint16_t since) const;

  const GuestMemory* memory_;
  std::uint16_t size_;
  bool indirect_;
  bool event_index_;
  std::span<std::byte> descriptors_;
  std::span<std::byte> available_;
  std::span<std::byte> used_;
  std::uint16_t next_available_;
  std::uint16_t next_used_ = 0;
  std::uint16_t published_ = 0;
  std::uint16_t seen_available_;  // the guest's index as last read
  // Where the first publish() without interrupt began: since interrupt_missed(), and before it.
  std::optional<std::uint16_t> silent_;
  std::optional<std::uint16_t> silent_before_;
};

}  // namespace capsem::vsock
