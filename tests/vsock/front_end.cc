#include "tests/vsock/front_end.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace capsem::vsock {
namespace {

constexpr std::uint16_t kNext = 1;
constexpr std::uint16_t kWrite = 2;
constexpr std::uint16_t kIndirect = 4;

constexpr std::uint64_t kAvailable = 0x5000;  // within a ring's area
constexpr std::uint64_t kUsed = 0x6000;
constexpr std::uint64_t kTables = 0x20000;  // indirect tables
constexpr std::uint64_t kReceiveBuffers = 0x100000;
constexpr std::uint64_t kReceiveStride = 0x2000;
constexpr std::uint64_t kTransmitBuffers = 0x300000;
constexpr std::uint64_t kTransmitStride = 0x12000;

struct Frame {
  std::uint32_t request;
  std::uint32_t flags;
  std::uint32_t size;
};

template <class... T>
std::vector<std::byte> bytes_of(const T&... values) {
  std::vector<std::byte> bytes;
  const auto add = [&](const auto& value) {
    const auto part = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
  (add(values), ...);
  return bytes;
}

Fd event() {
  return Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

}  // namespace

FrontEnd::FrontEnd(Loop& loop, Fd socket, FrontEndOptions options)
    : loop_(loop), socket_(std::move(socket)), options_(options) {
  file_ = Fd(::memfd_create("guest", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file_.get(), kMemoryBytes), 0);
  mapping_ = Mapping::create(file_, 0, kMemoryBytes).value();
}

void FrontEnd::send_message(Request request, std::span<const std::byte> payload,
                            std::span<const int> fds, std::uint32_t flags) {
  const Frame frame{std::to_underlying(request), flags, static_cast<std::uint32_t>(payload.size())};
  std::vector<std::byte> bytes = bytes_of(frame);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<std::byte> control(CMSG_SPACE(fds.size_bytes()));
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
}

bool FrontEnd::closed() {
  bool ended = false;
  loop_.run_until([&] {
    pollfd poll{socket_.get(), POLLIN, 0};
    std::byte byte{};
    ended = ::poll(&poll, 1, 0) == 1 && ::recv(socket_.get(), &byte, 1, MSG_PEEK) <= 0;
    return ended;
  });
  return ended;
}

std::vector<std::byte> FrontEnd::answer() {
  loop_.run_until([&] {
    pollfd poll{socket_.get(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  });
  Frame frame{};
  if (::recv(socket_.get(), &frame, sizeof frame, MSG_WAITALL) != sizeof frame) {
    return {};
  }
  std::vector<std::byte> payload(frame.size);
  EXPECT_EQ(::recv(socket_.get(), payload.data(), payload.size(), MSG_WAITALL),
            static_cast<ssize_t>(payload.size()));
  return payload;
}

std::uint64_t FrontEnd::answer_u64() {
  const std::vector<std::byte> payload = answer();
  std::uint64_t value = 0;
  EXPECT_EQ(payload.size(), sizeof value);
  std::memcpy(&value, payload.data(), std::min(payload.size(), sizeof value));
  return value;
}

void FrontEnd::set_up() {
  send_message(Request::kGetFeatures, {});
  const std::uint64_t offered = answer_u64();
  EXPECT_EQ(options_.features & ~offered, 0U);
  send_message(Request::kSetOwner, {});
  send_message(Request::kSetFeatures, bytes_of(options_.features));
  set_memory_table();
  start_rings();
}

void FrontEnd::set_memory_table() {
  const int fd = file_.get();
  send_message(Request::kSetMemoryTable,
               bytes_of(std::uint32_t{1}, std::uint32_t{0}, kGuestBase, std::uint64_t{kMemoryBytes},
                        kFrontEndBase, std::uint64_t{0}),
               std::span(&fd, 1));
}

void FrontEnd::start_rings() {
  reset_rings();
  start_ring(kReceiveRing);
  start_ring(kTransmitRing);
  // An answered message: what stands before it was carried out.
  send_message(Request::kGetQueueCount, {});
  answer();
}

void FrontEnd::start_ring(std::size_t index, std::uint16_t base) {
  const auto number = static_cast<std::uint32_t>(index);
  const std::uint64_t start = kFrontEndBase + ring_offset(index);
  Ring& ring = rings_[index];
  ring.kick = event();
  ring.call = event();
  const int kick = ring.kick.get();
  const int call = ring.call.get();
  send_message(Request::kSetRingSize, bytes_of(number, std::uint32_t{kRingSize}));
  send_message(Request::kSetRingBase, bytes_of(number, std::uint32_t{base}));
  send_message(Request::kSetRingAddresses, bytes_of(number, std::uint32_t{0}, start, start + kUsed,
                                                    start + kAvailable, std::uint64_t{0}));
  send_message(Request::kSetRingKick, bytes_of(std::uint64_t{index}), std::span(&kick, 1));
  send_message(Request::kSetRingCall, bytes_of(std::uint64_t{index}), std::span(&call, 1));
  send_message(Request::kSetRingEnable, bytes_of(number, std::uint32_t{1}));
}

std::uint16_t FrontEnd::stop_ring(std::size_t index) {
  send_message(Request::kGetRingBase,
               bytes_of(static_cast<std::uint32_t>(index), std::uint32_t{0}));
  const std::vector<std::byte> payload = answer();
  std::uint16_t base = 0;
  if (payload.size() == 8) {
    std::memcpy(&base, payload.data() + 4, sizeof base);
  }
  return base;
}

void FrontEnd::replace_kick(std::size_t index) {
  rings_[index].kick = event();
  const int kick = rings_[index].kick.get();
  send_message(Request::kSetRingKick, bytes_of(std::uint64_t{index}), std::span(&kick, 1));
}

void FrontEnd::reboot() {
  stop_ring(kReceiveRing);
  stop_ring(kTransmitRing);
  start_rings();
}

void FrontEnd::reset_rings() {
  std::ranges::fill(memory(), std::byte{0});
  for (Ring& ring : rings_) {
    ring = {};
    for (std::uint16_t slot = 0; slot < kRingSize / 2; ++slot) {
      ring.free.push_back(slot);
    }
  }
  if (options_.post_buffers) {
    for (std::uint16_t slot = 0; slot < kRingSize / 2; ++slot) {
      post_receive_buffer(slot);
    }
  }
}

void FrontEnd::post_receive_buffer(std::uint16_t slot) {
  const std::uint64_t start = guest(kReceiveBuffers + slot * kReceiveStride);
  const Descriptor parts[] = {
      {start, kHeaderBytes, kWrite, 0},
      {start + kHeaderBytes, static_cast<std::uint32_t>(options_.receive_buffer_bytes), kWrite, 0}};
  add_chain(kReceiveRing, slot, parts);
}

// Slot n of a ring owns descriptors 2n and 2n + 1.
void FrontEnd::add_chain(std::size_t ring, std::uint16_t slot, std::span<const Descriptor> parts) {
  const auto head = static_cast<std::uint16_t>(2 * slot);
  const std::uint64_t table = kTables + ring * 0x10000 + slot * 0x20ULL;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Descriptor part = parts[i];
    if (i + 1 < parts.size()) {
      part.flags |= kNext;
      part.next = static_cast<std::uint16_t>(options_.indirect ? i + 1 : head + i + 1);
    }
    if (options_.indirect) {
      write_at(table + i * sizeof part, std::as_bytes(std::span(&part, 1)));
    } else {
      write_descriptor(ring, static_cast<std::uint16_t>(head + i), part);
    }
  }
  if (options_.indirect) {
    const auto length = static_cast<std::uint32_t>(parts.size() * sizeof(Descriptor));
    write_descriptor(ring, head, {guest(table), length, kIndirect, 0});
  }
  make_available(ring, head);
}

Header FrontEnd::header(Op op, std::uint32_t guest_port, std::uint32_t host_port) {
  return {.source_cid = kGuestCid,
          .destination_cid = kHostCid,
          .source_port = guest_port,
          .destination_port = host_port,
          .op = op,
          .buffer_bytes = 256 * 1024};
}

void FrontEnd::send(Op op, std::uint32_t guest_port, std::uint32_t host_port,
                    std::span<const std::byte> payload, std::uint32_t flags) {
  Header packet = header(op, guest_port, host_port);
  packet.flags = flags;
  packet.payload_bytes = static_cast<std::uint32_t>(payload.size());
  send(packet, payload);
}

void FrontEnd::send(const Header& header, std::span<const std::byte> payload) {
  Ring& ring = rings_[kTransmitRing];
  loop_.run_until([&] {
    while (const auto used = take_used(kTransmitRing)) {
      ring.free.push_back(used->first);
    }
    return !ring.free.empty();
  });
  const std::uint16_t slot = ring.free.front();
  ring.free.pop_front();
  const std::uint64_t start = kTransmitBuffers + slot * kTransmitStride;
  write_at(start, encode(header));
  write_at(start + kHeaderBytes, payload);
  const Descriptor parts[] = {
      {guest(start), kHeaderBytes, 0, 0},
      {guest(start + kHeaderBytes), static_cast<std::uint32_t>(payload.size()), 0, 0}};
  add_chain(kTransmitRing, slot, std::span(parts).first(payload.empty() ? 1 : 2));
  kick(kTransmitRing);
}

std::optional<Packet> FrontEnd::poll() {
  const auto used = take_used(kReceiveRing);
  if (!used) {
    return std::nullopt;
  }
  const auto& [slot, length] = *used;
  const auto bytes = memory().subspan(kReceiveBuffers + slot * kReceiveStride, length);
  EXPECT_GE(length, kHeaderBytes);
  Packet packet{decode(bytes.first<kHeaderBytes>()), {}};
  packet.payload.assign(bytes.begin() + kHeaderBytes, bytes.end());
  EXPECT_EQ(packet.header.payload_bytes, packet.payload.size());
  EXPECT_EQ(packet.header.destination_cid, kGuestCid);
  if (options_.post_buffers) {
    post_receive_buffer(slot);
    kick(kReceiveRing);
  }
  return packet;
}

Packet FrontEnd::receive() {
  std::optional<Packet> packet;
  loop_.run_until([&] {
    packet = poll();
    return packet.has_value();
  });
  return packet.value_or(Packet{});
}

void FrontEnd::settle() {
  loop_.run_until([&] { return used_index(kTransmitRing) == rings_[kTransmitRing].available; });
  loop_.poll();
}

void FrontEnd::write_descriptor(std::size_t ring, std::uint16_t index,
                                const Descriptor& descriptor) {
  static_assert(sizeof descriptor == 16);
  write_at(ring_offset(ring) + index * sizeof descriptor, std::as_bytes(std::span(&descriptor, 1)));
}

void FrontEnd::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  std::ranges::copy(bytes, memory().subspan(offset, bytes.size()).begin());
}

void FrontEnd::make_available(std::size_t ring, std::uint16_t head) {
  const std::uint64_t start = ring_offset(ring) + kAvailable;
  std::uint16_t& index = rings_[ring].available;
  store16(start + 4 + index % kRingSize * 2, head);
  set_available_index(ring, ++index);
}

void FrontEnd::set_available_index(std::size_t ring, std::uint16_t index) {
  store16(ring_offset(ring) + kAvailable + 2, index);
}

void FrontEnd::kick(std::size_t ring) {
  const std::uint64_t one = 1;
  EXPECT_EQ(::write(rings_[ring].kick.get(), &one, sizeof one), 8);
}

bool FrontEnd::kick_was_seen(std::size_t ring) const {
  pollfd poll{rings_[ring].kick.get(), POLLIN, 0};
  return ::poll(&poll, 1, 0) == 0;
}

std::uint16_t FrontEnd::used_index(std::size_t ring) const {
  return load16(ring_offset(ring) + kUsed + 2);
}

std::uint64_t FrontEnd::calls(std::size_t ring) {
  std::uint64_t count = 0;
  return ::read(rings_[ring].call.get(), &count, sizeof count) == 8 ? count : 0;
}

bool FrontEnd::no_notify(std::size_t ring) const {
  return load16(ring_offset(ring) + kUsed) == 1;
}

std::optional<std::pair<std::uint16_t, std::uint32_t>> FrontEnd::take_used(std::size_t ring) {
  std::uint16_t& seen = rings_[ring].used_seen;
  if (used_index(ring) == seen) {
    return std::nullopt;
  }
  std::uint32_t entry[2];
  std::memcpy(entry, memory().data() + ring_offset(ring) + kUsed + 4 + seen % kRingSize * 8,
              sizeof entry);
  ++seen;
  return std::pair(static_cast<std::uint16_t>(entry[0] / 2), entry[1]);
}

std::uint16_t FrontEnd::load16(std::uint64_t offset) const {
  std::uint16_t value = 0;
  std::memcpy(&value, memory().data() + offset, sizeof value);
  return value;
}

void FrontEnd::store16(std::uint64_t offset, std::uint16_t value) {
  std::memcpy(memory().data() + offset, &value, sizeof value);
}

}  // namespace capsem::vsock
