#include "vsock/virtqueue.h"

#include <atomic>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

namespace capsem::vsock {
namespace {

constexpr std::uint16_t kNext = 1;      // VIRTQ_DESC_F_NEXT
constexpr std::uint16_t kWrite = 2;     // VIRTQ_DESC_F_WRITE
constexpr std::uint16_t kIndirect = 4;  // VIRTQ_DESC_F_INDIRECT
constexpr std::uint16_t kNoInterrupt = 1;
constexpr std::uint16_t kNoNotify = 1;

// Both rings begin with flags and index and end with the other side's event index.
constexpr std::size_t kFlagsOffset = 0;
constexpr std::size_t kIndexOffset = 2;
constexpr std::size_t kRingOffset = 4;
constexpr std::size_t kDescriptorBytes = 16;
constexpr std::size_t kAvailableEntryBytes = 2;
constexpr std::size_t kUsedEntryBytes = 8;
constexpr std::size_t kEventBytes = 2;

std::unexpected<Error> broken(std::string reason) {
  return fail("use", "a vsock ring of the guest", std::move(reason), "", ErrorKind::kInvalid);
}

std::atomic_ref<std::uint16_t> field(std::span<std::byte> ring, std::size_t offset) {
  return std::atomic_ref(*reinterpret_cast<std::uint16_t*>(ring.subspan(offset, 2).data()));
}

bool aligned(std::span<std::byte> bytes, std::size_t alignment) {
  return std::bit_cast<std::uintptr_t>(bytes.data()) % alignment == 0;
}

}  // namespace

Result<Virtqueue> Virtqueue::create(const GuestMemory& memory, const Layout& layout) {
  if (layout.size == 0 || layout.size > kMaxSize || !std::has_single_bit(layout.size)) {
    return broken("its size of " + std::to_string(layout.size) + " is not a power of two up to " +
                  std::to_string(kMaxSize));
  }
  const std::span<std::byte> descriptors =
      memory.at_front_end(layout.descriptors, layout.size * kDescriptorBytes);
  const std::span<std::byte> available = memory.at_front_end(
      layout.available, kRingOffset + layout.size * kAvailableEntryBytes + kEventBytes);
  const std::span<std::byte> used =
      memory.at_front_end(layout.used, kRingOffset + layout.size * kUsedEntryBytes + kEventBytes);
  if (descriptors.empty() || available.empty() || used.empty()) {
    return broken("it does not lie in the guest's memory");
  }
  if (!aligned(descriptors, 16) || !aligned(available, 2) || !aligned(used, 4)) {
    return broken("its parts are not aligned");
  }
  return Virtqueue(memory, layout, descriptors, available, used);
}

Virtqueue::Virtqueue(const GuestMemory& memory, const Layout& layout,
                     std::span<std::byte> descriptors, std::span<std::byte> available,
                     std::span<std::byte> used)
    : memory_(&memory),
      size_(layout.size),
      indirect_(layout.indirect),
      event_index_(layout.event_index),
      descriptors_(descriptors),
      available_(available),
      used_(used),
      next_available_(layout.next_available),
      next_used_(field(used, kIndexOffset).load(std::memory_order_relaxed)),
      published_(next_used_),
      seen_available_(layout.next_available) {}

Virtqueue::Descriptor Virtqueue::descriptor(std::span<const std::byte> table, std::size_t index) {
  Descriptor copy{};
  std::memcpy(&copy, table.subspan(index * kDescriptorBytes, kDescriptorBytes).data(),
              kDescriptorBytes);
  return copy;
}

Result<bool> Virtqueue::pop(Chain& chain) {
  if (next_available_ == seen_available_) {
    seen_available_ = field(available_, kIndexOffset).load(std::memory_order_acquire);
    const auto waiting = static_cast<std::uint16_t>(seen_available_ - next_available_);
    if (waiting > size_) {
      return broken("it claims " + std::to_string(waiting) + " chains with room for " +
                    std::to_string(size_));
    }
    if (waiting == 0) {
      return false;
    }
  }
  const std::size_t slot = next_available_ % size_;
  const std::uint16_t head =
      field(available_, kRingOffset + slot * kAvailableEntryBytes).load(std::memory_order_relaxed);
  if (head >= size_) {
    return broken("descriptor " + std::to_string(head) + " does not exist");
  }
  chain.head = head;
  chain.readable.clear();
  chain.writable.clear();
  chain.readable_bytes = 0;
  chain.writable_bytes = 0;
  if (Result<> ok = follow(descriptors_, head, indirect_, chain); !ok) {
    return propagate(ok);
  }
  ++next_available_;
  return true;
}

Result<> Virtqueue::follow(std::span<const std::byte> table, std::size_t index,
                           bool indirect_allowed, Chain& chain) const {
  const std::size_t entries = table.size() / kDescriptorBytes;
  for (std::size_t steps = 0; steps < entries; ++steps) {
    const Descriptor current = descriptor(table, index);
    if ((current.flags & kIndirect) != 0) {
      if (!indirect_allowed || (current.flags & kNext) != 0) {
        return broken("an indirect descriptor stands where none is allowed");
      }
      return follow_indirect(current, chain);
    }
    if (Result<> ok = add(current, chain); !ok) {
      return ok;
    }
    if ((current.flags & kNext) == 0) {
      return {};
    }
    if (current.next >= entries) {
      return broken("descriptor " + std::to_string(current.next) + " does not exist");
    }
    index = current.next;
  }
  return broken("a chain of descriptors runs in a loop");
}

Result<> Virtqueue::follow_indirect(const Descriptor& descriptor, Chain& chain) const {
  const std::size_t entries = descriptor.length / kDescriptorBytes;
  if (entries == 0 || entries > size_ || descriptor.length % kDescriptorBytes != 0) {
    return broken("an indirect table of " + std::to_string(descriptor.length) + " bytes");
  }
  const std::span<const std::byte> table = memory_->at(descriptor.address, descriptor.length);
  if (table.empty()) {
    return broken("an indirect table does not lie in the guest's memory");
  }
  return follow(table, 0, false, chain);
}

Result<> Virtqueue::add(const Descriptor& descriptor, Chain& chain) const {
  if (descriptor.length == 0) {
    return {};
  }
  const Segment segment = memory_->at(descriptor.address, descriptor.length);
  if (segment.empty()) {
    return broken("a buffer of " + std::to_string(descriptor.length) +
                  " bytes does not lie in the guest's memory");
  }
  if ((descriptor.flags & kWrite) != 0) {
    chain.writable.push_back(segment);
    chain.writable_bytes += segment.size();
    return {};
  }
  if (!chain.writable.empty()) {
    return broken("a buffer to read follows one to write");
  }
  chain.readable.push_back(segment);
  chain.readable_bytes += segment.size();
  return {};
}

void Virtqueue::push(const Chain& chain, std::uint32_t written) {
  const std::uint32_t entry[2] = {chain.head, written};
  static_assert(sizeof entry == kUsedEntryBytes);
  const std::size_t slot = next_used_ % size_;
  std::memcpy(used_.subspan(kRingOffset + slot * kUsedEntryBytes, kUsedEntryBytes).data(), entry,
              sizeof entry);
  ++next_used_;
}

bool Virtqueue::publish() {
  if (next_used_ == published_) {
    return false;
  }
  field(used_, kIndexOffset).store(next_used_, std::memory_order_release);
  const std::uint16_t before = std::exchange(published_, next_used_);
  // The index must be visible before the guest's wish is read, or both sides could go to sleep
  // (virtio 1.2, 2.7.7.2).
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (wants_interrupt(before)) {
    return true;
  }
  silent_ = silent_.value_or(before);
  return false;
}

bool Virtqueue::wants_interrupt(std::uint16_t since) const {
  if (!event_index_) {
    const std::uint16_t flags = field(available_, kFlagsOffset).load(std::memory_order_relaxed);
    return (flags & kNoInterrupt) == 0;
  }
  const std::uint16_t event =
      field(available_, kRingOffset + size_ * kAvailableEntryBytes).load(std::memory_order_relaxed);
  return static_cast<std::uint16_t>(published_ - event - 1) <
         static_cast<std::uint16_t>(published_ - since);
}

bool Virtqueue::interrupt_missed() {
  const std::optional<std::uint16_t> since = silent_before_ ? silent_before_ : silent_;
  silent_before_ = std::exchange(silent_, std::nullopt);
  return since && wants_interrupt(*since);
}

bool Virtqueue::has_available() const {
  return field(available_, kIndexOffset).load(std::memory_order_acquire) != next_available_;
}

void Virtqueue::disable_kicks() {
  // With event indexes the one that was asked for last lies behind, which is enough.
  if (!event_index_) {
    field(used_, kFlagsOffset).store(kNoNotify, std::memory_order_relaxed);
  }
}

bool Virtqueue::enable_kicks() {
  if (event_index_) {
    field(used_, kRingOffset + size_ * kUsedEntryBytes)
        .store(next_available_, std::memory_order_relaxed);
  } else {
    field(used_, kFlagsOffset).store(0, std::memory_order_relaxed);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return field(available_, kIndexOffset).load(std::memory_order_acquire) != next_available_;
}

}  // namespace capsem::vsock
