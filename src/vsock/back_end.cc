#include "vsock/back_end.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>

namespace capsem::vsock {
namespace {

constexpr std::uint64_t bit(unsigned number) {
  return std::uint64_t{1} << number;
}

constexpr std::uint64_t kIndirectDescriptors = bit(28);  // VIRTIO_F_INDIRECT_DESC
constexpr std::uint64_t kEventIndex = bit(29);           // VIRTIO_F_EVENT_IDX
constexpr std::uint64_t kProtocolFeatures = bit(30);     // VHOST_USER_F_PROTOCOL_FEATURES
constexpr std::uint64_t kVersion1 = bit(32);             // VIRTIO_F_VERSION_1
constexpr std::uint64_t kFeatures =
    kIndirectDescriptors | kEventIndex | kProtocolFeatures | kVersion1;

constexpr std::uint64_t kProtocolMultiqueue = bit(0);
constexpr std::uint64_t kProtocolReplyAck = bit(3);
constexpr std::uint64_t kProtocolConfig = bit(9);
constexpr std::uint64_t kProtocolResetDevice = bit(13);
constexpr std::uint64_t kOfferedProtocolFeatures =
    kProtocolMultiqueue | kProtocolReplyAck | kProtocolConfig | kProtocolResetDevice;

constexpr std::uint64_t kRingNumberMask = 0xff;
constexpr std::uint64_t kNoFd = bit(8);  // VHOST_USER_VRING_NOFD_MASK

// Payloads as they lie in the message (vhost-user.rst, "Message specification").
struct RingState {
  std::uint32_t index;
  std::uint32_t value;
};

struct RingAddresses {
  std::uint32_t index;
  std::uint32_t flags;
  std::uint64_t descriptors;
  std::uint64_t used;
  std::uint64_t available;
  std::uint64_t log;
};

struct MemoryTableHeader {
  std::uint32_t regions;
  std::uint32_t padding;
};

struct MemoryTableRow {
  std::uint64_t guest_address;
  std::uint64_t size;
  std::uint64_t front_end_address;
  std::uint64_t file_offset;
};

struct ConfigHeader {
  std::uint32_t offset;
  std::uint32_t size;
  std::uint32_t flags;
};

// Copies a T out of `bytes`, which are long enough.
template <class T>
T copy_at(std::span<const std::byte> bytes, std::size_t offset = 0) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof value).data(), sizeof value);
  return value;
}

template <class T>
std::vector<std::byte> to_payload(const T& value) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

std::unexpected<Error> invalid(Request request, std::string reason) {
  return fail("handle", "QEMU's vhost-user message " + std::to_string(std::to_underlying(request)),
              std::move(reason), "", ErrorKind::kInvalid);
}

}  // namespace

struct BackEnd::Row {
  Request request;
  std::size_t min_bytes;
  std::size_t max_bytes;
  std::size_t max_fds;
  bool answers;  // always, so never with an acknowledgement
  Answer (BackEnd::*carry_out)(Message&);
};

std::span<const BackEnd::Row> BackEnd::table() {
  constexpr std::size_t kU64 = sizeof(std::uint64_t);
  constexpr std::size_t kState = sizeof(RingState);
  constexpr std::size_t kAddresses = sizeof(RingAddresses);
  constexpr std::size_t kTable = sizeof(MemoryTableHeader);
  constexpr std::size_t kConfig = sizeof(ConfigHeader);
  constexpr std::size_t kAny = Channel::kMaxPayloadBytes;
  static constexpr Row kRows[] = {
      {Request::kGetFeatures, 0, 0, 0, true, &BackEnd::get_features},
      {Request::kSetFeatures, kU64, kU64, 0, false, &BackEnd::set_features},
      {Request::kSetOwner, 0, 0, 0, false, &BackEnd::nothing},
      {Request::kResetOwner, 0, 0, 0, false, &BackEnd::reset},
      {Request::kSetMemoryTable, kTable, kAny, Channel::kMaxFds, false, &BackEnd::set_memory_table},
      {Request::kSetRingSize, kState, kState, 0, false, &BackEnd::set_ring_size},
      {Request::kSetRingAddresses, kAddresses, kAddresses, 0, false, &BackEnd::set_ring_addresses},
      {Request::kSetRingBase, kState, kState, 0, false, &BackEnd::set_ring_base},
      {Request::kGetRingBase, kState, kState, 0, true, &BackEnd::get_ring_base},
      {Request::kSetRingKick, kU64, kU64, 1, false, &BackEnd::set_ring_kick},
      {Request::kSetRingCall, kU64, kU64, 1, false, &BackEnd::set_ring_call},
      {Request::kSetRingError, kU64, kU64, 1, false, &BackEnd::set_ring_error},
      {Request::kGetProtocolFeatures, 0, 0, 0, true, &BackEnd::get_protocol_features},
      {Request::kSetProtocolFeatures, kU64, kU64, 0, false, &BackEnd::set_protocol_features},
      {Request::kGetQueueCount, 0, 0, 0, true, &BackEnd::get_queue_count},
      {Request::kSetRingEnable, kState, kState, 0, false, &BackEnd::set_ring_enable},
      {Request::kGetConfig, kConfig, kAny, 0, true, &BackEnd::get_config},
      {Request::kSetConfig, kConfig, kAny, 0, false, &BackEnd::nothing},
      {Request::kResetDevice, 0, 0, 0, false, &BackEnd::reset},
  };
  return kRows;
}

const BackEnd::Row* BackEnd::find(Request request) {
  const auto row = std::ranges::find(table(), request, &Row::request);
  return row == table().end() ? nullptr : &*row;
}

Result<std::vector<std::byte>> BackEnd::handle(Message message) {
  const Row* const row = find(message.request);
  if (row == nullptr) {
    return invalid(message.request, "it was not negotiated");
  }
  if (message.payload.size() < row->min_bytes || message.payload.size() > row->max_bytes ||
      message.fds.size() > row->max_fds) {
    return invalid(message.request, "it has " + std::to_string(message.payload.size()) +
                                        " bytes and " + std::to_string(message.fds.size()) +
                                        " descriptors");
  }
  Answer answer = (this->*row->carry_out)(message);
  if (answer && message.wants_reply && !row->answers) {
    return to_payload(std::uint64_t{0});
  }
  return answer;
}

BackEnd::Answer BackEnd::nothing(Message& /*message*/) {
  return {};
}

BackEnd::Answer BackEnd::get_features(Message& /*message*/) {
  return to_payload(kFeatures);
}

BackEnd::Answer BackEnd::set_features(Message& message) {
  const auto features = copy_at<std::uint64_t>(message.payload);
  if ((features & ~kFeatures) != 0) {
    return invalid(message.request, "it sets features that were not offered");
  }
  features_ = features;
  return {};
}

BackEnd::Answer BackEnd::get_protocol_features(Message& /*message*/) {
  return to_payload(kOfferedProtocolFeatures);
}

BackEnd::Answer BackEnd::set_protocol_features(Message& message) {
  if ((copy_at<std::uint64_t>(message.payload) & ~kOfferedProtocolFeatures) != 0) {
    return invalid(message.request, "it sets features that were not offered");
  }
  return {};
}

BackEnd::Answer BackEnd::get_queue_count(Message& /*message*/) {
  return to_payload(std::uint64_t{kRings});
}

BackEnd::Answer BackEnd::get_config(Message& message) {
  // struct virtio_vsock_config: the guest's CID, and nothing else.
  const auto config = to_payload(guest_cid_);
  const auto wanted = copy_at<ConfigHeader>(message.payload);
  if (wanted.offset > config.size() || wanted.size > config.size() - wanted.offset ||
      message.payload.size() != sizeof wanted + wanted.size) {
    return invalid(message.request, "it asks for what lies outside the configuration");
  }
  std::vector<std::byte> answer = to_payload(wanted);
  answer.insert(answer.end(), config.begin() + wanted.offset,
                config.begin() + wanted.offset + wanted.size);
  return answer;
}

BackEnd::Answer BackEnd::reset(Message& /*message*/) {
  for (std::size_t index = 0; index < kRings; ++index) {
    owner_->stop_ring(index);
    rings_[index] = {};
  }
  owner_->reset();
  return {};
}

BackEnd::Answer BackEnd::set_memory_table(Message& message) {
  const auto header = copy_at<MemoryTableHeader>(message.payload);
  const std::size_t rows = (message.payload.size() - sizeof header) / sizeof(MemoryTableRow);
  if (header.regions > rows) {
    return invalid(message.request, "its table is shorter than it claims");
  }
  std::vector<RegionDescription> regions;
  for (std::size_t i = 0; i < header.regions; ++i) {
    const auto row =
        copy_at<MemoryTableRow>(message.payload, sizeof header + i * sizeof(MemoryTableRow));
    regions.push_back({.guest_address = row.guest_address,
                       .size = row.size,
                       .front_end_address = row.front_end_address,
                       .file_offset = row.file_offset});
  }
  Result<GuestMemory> memory = GuestMemory::create(regions, message.fds);
  if (!memory) {
    return propagate(memory);
  }
  auto replacement = std::make_unique<GuestMemory>(*std::move(memory));
  std::swap(memory_, replacement);
  // Rings in use point into the old mapping, which ends with this function.
  for (std::size_t index = 0; index < kRings; ++index) {
    restart(index);
  }
  return {};
}

Result<std::size_t> BackEnd::ring_index(std::uint32_t number, Request request) const {
  if (number >= kRings) {
    return invalid(request, "ring " + std::to_string(number) + " does not exist");
  }
  return std::size_t{number};
}

BackEnd::Answer BackEnd::set_ring_size(Message& message) {
  const auto state = copy_at<RingState>(message.payload);
  Result<std::size_t> index = ring_index(state.index, message.request);
  if (!index) {
    return propagate(index);
  }
  if (state.value > Virtqueue::kMaxSize) {
    return invalid(message.request, "a ring of " + std::to_string(state.value) + " descriptors");
  }
  rings_[*index].layout.size = static_cast<std::uint16_t>(state.value);
  return {};
}

BackEnd::Answer BackEnd::set_ring_addresses(Message& message) {
  const auto addresses = copy_at<RingAddresses>(message.payload);
  Result<std::size_t> index = ring_index(addresses.index, message.request);
  if (!index) {
    return propagate(index);
  }
  Virtqueue::Layout& layout = rings_[*index].layout;
  layout.descriptors = addresses.descriptors;
  layout.available = addresses.available;
  layout.used = addresses.used;
  return {};
}

BackEnd::Answer BackEnd::set_ring_base(Message& message) {
  const auto state = copy_at<RingState>(message.payload);
  Result<std::size_t> index = ring_index(state.index, message.request);
  if (!index) {
    return propagate(index);
  }
  rings_[*index].layout.next_available = static_cast<std::uint16_t>(state.value);
  return {};
}

BackEnd::Answer BackEnd::get_ring_base(Message& message) {
  const auto state = copy_at<RingState>(message.payload);
  Result<std::size_t> index = ring_index(state.index, message.request);
  if (!index) {
    return propagate(index);
  }
  RingSettings& ring = rings_[*index];
  ring.layout.next_available = owner_->stop_ring(*index);
  ring.kick.reset();
  ring.call.reset();
  return to_payload(RingState{state.index, ring.layout.next_available});
}

// Which ring the message means, and its descriptor put in place.
Result<std::size_t> BackEnd::take_ring_fd(Message& message, Fd RingSettings::* place) {
  const auto value = copy_at<std::uint64_t>(message.payload);
  Result<std::size_t> index =
      ring_index(static_cast<std::uint32_t>(value & kRingNumberMask), message.request);
  if (!index) {
    return index;
  }
  const bool has_fd = (value & kNoFd) == 0;
  if (has_fd != (message.fds.size() == 1)) {
    return invalid(message.request, "its descriptor is missing");
  }
  rings_[*index].*place = has_fd ? std::move(message.fds.front()) : Fd();
  return index;
}

BackEnd::Answer BackEnd::set_ring_kick(Message& message) {
  Result<std::size_t> index = take_ring_fd(message, &RingSettings::kick);
  if (!index) {
    return propagate(index);
  }
  if (!rings_[*index].kick) {
    return invalid(message.request, "it asks for polling, which is not supported");
  }
  // Without protocol features a ring is enabled from the start.
  if ((features_ & kProtocolFeatures) == 0) {
    rings_[*index].enabled = true;
  }
  restart(*index);
  return {};
}

BackEnd::Answer BackEnd::set_ring_call(Message& message) {
  Result<std::size_t> index = take_ring_fd(message, &RingSettings::call);
  if (!index) {
    return propagate(index);
  }
  owner_->call_changed(*index);
  return {};
}

BackEnd::Answer BackEnd::set_ring_error(Message& message) {
  Result<std::size_t> index = take_ring_fd(message, &RingSettings::error);
  if (!index) {
    return propagate(index);
  }
  return {};
}

BackEnd::Answer BackEnd::set_ring_enable(Message& message) {
  const auto state = copy_at<RingState>(message.payload);
  Result<std::size_t> index = ring_index(state.index, message.request);
  if (!index) {
    return propagate(index);
  }
  RingSettings& ring = rings_[*index];
  if (state.value > 1) {
    return invalid(message.request, "a ring is enabled with 1 or disabled with 0");
  }
  if (state.value == 0 && ring.ready()) {
    ring.layout.next_available = owner_->stop_ring(*index);
  }
  ring.enabled = state.value == 1;
  restart(*index);
  return {};
}

void BackEnd::restart(std::size_t index) {
  RingSettings& ring = rings_[index];
  ring.layout.indirect = (features_ & kIndirectDescriptors) != 0;
  ring.layout.event_index = (features_ & kEventIndex) != 0;
  if (ring.ready()) {
    owner_->start_ring(index);
  }
}

}  // namespace capsem::vsock
