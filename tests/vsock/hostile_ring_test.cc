// Rings and vhost-user messages that break the rules: one clear error, nothing touched outside the
// guest's memory, and a device that works again after the driver's restart.
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/vsock/device_fixture.h"

namespace capsem::vsock {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint16_t kNext = 1;
constexpr std::uint16_t kWrite = 2;
constexpr std::uint16_t kIndirect = 4;
constexpr std::uint64_t kBuffer = 0x300000;
constexpr std::uint64_t kFeatures = 1ULL << 32 | 1ULL << 30 | kIndirectFeature | kEventIndexFeature;

using Descriptor = FrontEnd::Descriptor;

struct BadRing {
  const char* name;
  std::size_t ring;
  const char* message;
  void (*write)(FrontEnd&, std::size_t ring);
};

// Puts descriptors into the ring from 0 on and makes the first available.
void chain(FrontEnd& guest, std::size_t ring, std::initializer_list<Descriptor> descriptors) {
  std::uint16_t index = 0;
  for (const Descriptor& descriptor : descriptors) {
    guest.write_descriptor(ring, index++, descriptor);
  }
  guest.make_available(ring, 0);
}

void indirect(FrontEnd& guest, std::initializer_list<Descriptor> table) {
  std::uint64_t offset = kBuffer;
  for (const Descriptor& descriptor : table) {
    guest.write_at(offset, std::as_bytes(std::span(&descriptor, 1)));
    offset += sizeof descriptor;
  }
  chain(guest, kTransmitRing,
        {{FrontEnd::guest(kBuffer), static_cast<std::uint32_t>(offset - kBuffer), kIndirect, 0}});
}

const std::uint64_t kInside = FrontEnd::guest(kBuffer);
const std::uint64_t kEnd = FrontEnd::guest(FrontEnd::kMemoryBytes);

const BadRing kBadRings[] = {
    {"AvailableIndexTooFar", kTransmitRing, "chains",
     [](FrontEnd& guest, std::size_t ring) { guest.set_available_index(ring, 1000); }},
    {"HeadOutOfRange", kTransmitRing, "does not exist",
     [](FrontEnd& guest, std::size_t ring) { guest.make_available(ring, 128); }},
    {"NextOutOfRange", kTransmitRing, "does not exist",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, 44, kNext, 128}}); }},
    {"LoopOfOne", kTransmitRing, "loop",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, 44, kNext, 0}}); }},
    {"LoopOfTwo", kTransmitRing, "loop",
     [](FrontEnd& guest, std::size_t ring) {
       chain(guest, ring, {{kInside, 44, kNext, 1}, {kInside, 1, kNext, 0}});
     }},
    {"AddressBeforeMemory", kTransmitRing, "guest's memory",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{0x1000, 44, 0, 0}}); }},
    {"AddressBehindMemory", kTransmitRing, "guest's memory",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kEnd, 44, 0, 0}}); }},
    {"BufferOverTheEnd", kTransmitRing, "guest's memory",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kEnd - 43, 44, 0, 0}}); }},
    {"AddressThatOverflows", kTransmitRing, "guest's memory",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{~0ULL - 10, 44, 0, 0}}); }},
    {"LengthOf4Gigabytes", kTransmitRing, "guest's memory",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, ~0U, 0, 0}}); }},
    {"NoHeader", kTransmitRing, "no header",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, 43, 0, 0}}); }},
    {"AnEmptyChain", kTransmitRing, "no header",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, 0, 0, 0}}); }},
    {"BuffersToWriteInAPacket", kTransmitRing, "buffers to write",
     [](FrontEnd& guest, std::size_t ring) {
       chain(guest, ring, {{kInside, 44, kNext, 1}, {kInside, 44, kWrite, 0}});
     }},
    {"ReadAfterWrite", kTransmitRing, "follows one to write",
     [](FrontEnd& guest, std::size_t ring) {
       chain(guest, ring, {{kInside, 44, kWrite | kNext, 1}, {kInside, 44, 0, 0}});
     }},
    {"IndirectWithNext", kTransmitRing, "indirect",
     [](FrontEnd& guest, std::size_t ring) {
       chain(guest, ring, {{kInside, 16, kIndirect | kNext, 1}, {kInside, 44, 0, 0}});
     }},
    {"IndirectInIndirect", kTransmitRing, "indirect",
     [](FrontEnd& guest, std::size_t) { indirect(guest, {{kInside, 16, kIndirect, 0}}); }},
    {"IndirectTableOfNothing", kTransmitRing, "indirect table of 0",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, 0, kIndirect, 0}}); }},
    {"IndirectTableOfHalfAnEntry", kTransmitRing, "indirect table of 24",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, 24, kIndirect, 0}}); }},
    {"IndirectTableTooLong", kTransmitRing, "indirect table",
     [](FrontEnd& guest, std::size_t ring) {
       chain(guest, ring, {{kInside, 129 * 16, kIndirect, 0}});
     }},
    {"IndirectTableOutside", kTransmitRing, "indirect table",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kEnd - 8, 16, kIndirect, 0}}); }},
    {"IndirectLoop", kTransmitRing, "loop",
     [](FrontEnd& guest, std::size_t) {
       indirect(guest, {{kInside, 44, kNext, 1}, {kInside, 44, kNext, 0}});
     }},
    {"IndirectNextOutOfRange", kTransmitRing, "does not exist",
     [](FrontEnd& guest, std::size_t) { indirect(guest, {{kInside, 44, kNext, 2}}); }},
    {"ReceiveBufferTooSmall", kReceiveRing, "too small",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kInside, 44, kWrite, 0}}); }},
    {"ReceiveBufferToRead", kReceiveRing, "parts to read",
     [](FrontEnd& guest, std::size_t ring) {
       chain(guest, ring, {{kInside, 44, kNext, 1}, {kInside, 4096, kWrite, 0}});
     }},
    {"ReceiveBufferOutside", kReceiveRing, "guest's memory",
     [](FrontEnd& guest, std::size_t ring) { chain(guest, ring, {{kEnd, 4096, kWrite, 0}}); }},
};

struct HostileRingTest : DeviceTest, testing::WithParamInterface<BadRing> {};

TEST_P(HostileRingTest, IsReportedOnceAndADriverThatRestartsIsServed) {
  start({.features = kFeatures, .post_buffers = GetParam().ring != kReceiveRing});
  const std::size_t ring = GetParam().ring;
  GetParam().write(*front_end, ring);
  if (ring == kReceiveRing) {
    front_end->send(Op::kRequest, 1, 9);  // its refusal needs a buffer
  }
  front_end->kick(ring);
  loop.run_until([&] { return !broken.empty(); });
  EXPECT_FALSE(device->running());
  front_end->kick(kTransmitRing);
  front_end->kick(kReceiveRing);
  loop.poll();
  EXPECT_THAT(broken, ElementsAre(HasSubstr(GetParam().message)));
  front_end->reboot();
  EXPECT_TRUE(device->running());
  if (ring == kTransmitRing) {
    EXPECT_TRUE(accept());
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, HostileRingTest, testing::ValuesIn(kBadRings),
                         [](const auto& rule) { return std::string(rule.param.name); });

TEST_F(DeviceTest, IndirectDescriptorsAreRefusedUnlessNegotiated) {
  start();
  indirect(*front_end, {{kInside, 44, 0, 0}});
  front_end->kick(kTransmitRing);
  loop.run_until([&] { return !broken.empty(); });
  EXPECT_THAT(broken, ElementsAre(HasSubstr("indirect")));
}

TEST_F(DeviceTest, ABrokenRingResetsItsStreams) {
  start();
  const auto stream = accept();
  std::vector<std::byte> received;
  Result<> read;
  loop.spawn(read_to_end(*stream, received, read));
  front_end->set_available_index(kTransmitRing, 5000);
  front_end->kick(kTransmitRing);
  loop.run();
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message(), HasSubstr("broke the rules"));
}

// --- what QEMU sends ---

template <class... T>
std::vector<std::byte> payload(const T&... values) {
  std::vector<std::byte> bytes;
  const auto add = [&](const auto& value) {
    const auto part = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
  (add(values), ...);
  return bytes;
}

std::vector<std::byte> memory_table(std::uint32_t regions, std::uint64_t guest, std::uint64_t size,
                                    std::uint64_t front_end, std::uint64_t offset) {
  return payload(regions, std::uint32_t{0}, guest, size, front_end, offset);
}

struct BadMessage {
  const char* name;
  Request request;
  std::vector<std::byte> payload;
  bool with_fd = false;
  std::uint32_t flags = 1;
};

constexpr std::uint32_t kOne = 1;
constexpr std::uint64_t kPage = 4096;

const BadMessage kBadMessages[] = {
    {"UnknownRequest", Request{250}, {}},
    {"RequestZero", Request{0}, {}},
    {"WrongVersion", Request::kGetFeatures, {}, false, 2},
    {"AReply", Request::kGetFeatures, {}, false, 5},
    {"ShortPayload", Request::kSetFeatures, payload(kOne)},
    {"LongPayload", Request::kSetFeatures, payload(kPage, kPage)},
    {"UnexpectedDescriptor", Request::kSetFeatures, payload(std::uint64_t{0}), true},
    {"FeaturesNotOffered", Request::kSetFeatures, payload(~0ULL)},
    {"ProtocolFeaturesNotOffered", Request::kSetProtocolFeatures, payload(~0ULL)},
    {"TableWithoutDescriptor", Request::kSetMemoryTable, memory_table(1, 0, kPage, 0, 0)},
    {"TableShorterThanItClaims", Request::kSetMemoryTable, memory_table(8, 0, kPage, 0, 0), true},
    {"TableOf4GigaRegions", Request::kSetMemoryTable, memory_table(~0U, 0, kPage, 0, 0), true},
    {"RegionOfNothing", Request::kSetMemoryTable, memory_table(1, 0, 0, 0, 0), true},
    {"RegionLongerThanItsFile", Request::kSetMemoryTable, memory_table(1, 0, 1ULL << 30, 0, 0),
     true},
    {"RegionOffsetBehindItsFile", Request::kSetMemoryTable,
     memory_table(1, 0, kPage, 0, 1ULL << 40), true},
    {"RegionOffsetOverflows", Request::kSetMemoryTable, memory_table(1, 0, kPage, 0, ~0ULL - 100),
     true},
    {"RegionSizeOverflows", Request::kSetMemoryTable, memory_table(1, kPage, ~0ULL, 0, 0), true},
    {"RegionAddressOverflows", Request::kSetMemoryTable, memory_table(1, 0, kPage, ~0ULL, 0), true},
    {"RingOutOfRangeForSize", Request::kSetRingSize, payload(3U, 128U)},
    {"RingTooLarge", Request::kSetRingSize, payload(0U, 65536U)},
    {"RingOutOfRangeForBase", Request::kGetRingBase, payload(77U, 0U)},
    {"RingOutOfRangeForKick", Request::kSetRingKick, payload(std::uint64_t{9}), true},
    {"KickWithoutDescriptor", Request::kSetRingKick, payload(std::uint64_t{0})},
    {"PollingAskedFor", Request::kSetRingKick, payload(std::uint64_t{0x100})},
    {"EnableWithTwo", Request::kSetRingEnable, payload(0U, 2U)},
    {"ConfigOutside", Request::kGetConfig, payload(4U, 8U, 0U, std::uint64_t{0})},
    {"ConfigSizeOverflows", Request::kGetConfig, payload(~0U, 8U, 0U, std::uint64_t{0})},
    {"ConfigShorterThanItClaims", Request::kGetConfig, payload(0U, 8U, 0U)},
};

struct HostileMessageTest : DeviceTest, testing::WithParamInterface<BadMessage> {};

TEST_P(HostileMessageTest, EndsTheDeviceWithAnError) {
  start();
  const auto stream = accept();
  const Fd file(::memfd_create("region", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 1 << 20), 0);
  const int fd = file.get();
  const BadMessage& bad = GetParam();
  front_end->send_message(bad.request, bad.payload, std::span(&fd, bad.with_fd ? 1 : 0), bad.flags);
  EXPECT_TRUE(front_end->closed());
  loop.run_until([&] { return !ends.empty(); });
  EXPECT_NE(ends.front().kind(), ErrorKind::kClosed);
  EXPECT_THAT(ends.front().message(),
              AnyOf(HasSubstr("vhost-user"), HasSubstr("map the guest's memory")));
  EXPECT_FALSE(loop.get(stream->write_all(as_bytes("x"))));
  EXPECT_EQ(ends.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Rules, HostileMessageTest, testing::ValuesIn(kBadMessages),
                         [](const auto& rule) { return std::string(rule.param.name); });

TEST_F(DeviceTest, OverlappingRegionsAreRefused) {
  start();
  const Fd file(::memfd_create("region", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 1 << 20), 0);
  const int fds[] = {file.get(), file.get()};
  front_end->send_message(
      Request::kSetMemoryTable,
      payload(2U, 0U, std::uint64_t{0}, kPage, std::uint64_t{0}, std::uint64_t{0},
              std::uint64_t{4095}, kPage, std::uint64_t{1 << 20}, std::uint64_t{0}),
      fds);
  EXPECT_TRUE(front_end->closed());
}

TEST_F(DeviceTest, ARingOutsideTheMemoryIsAnErrorOfThatRing) {
  start();
  front_end->stop_ring(kTransmitRing);
  const std::uint64_t outside = FrontEnd::kFrontEndBase + FrontEnd::kMemoryBytes - 16;
  front_end->send_message(Request::kSetRingAddresses,
                          payload(1U, 0U, outside, outside, outside, std::uint64_t{0}));
  const Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const int fd = event.get();
  front_end->send_message(Request::kSetRingKick, payload(std::uint64_t{1}), std::span(&fd, 1));
  loop.run_until([&] { return !broken.empty(); });
  EXPECT_THAT(broken, ElementsAre(HasSubstr("does not lie in the guest's memory")));
}

TEST_F(DeviceTest, AMemoryTableThatChangesWhileRingsRunIsFollowed) {
  start();
  const auto stream = accept();
  front_end->set_memory_table();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("after"));
  std::vector<std::byte> buffer(16);
  EXPECT_EQ(loop.get(stream->read_some(buffer)).value_or(0), 5U);
}

TEST_F(DeviceTest, AMessageInPiecesIsPutTogether) {
  start();
  front_end->send_message(Request::kGetQueueCount, {});
  EXPECT_EQ(front_end->answer_u64(), kRings);
  front_end->send_message(Request::kSetOwner, {}, {}, 9);  // with NEED_REPLY
  EXPECT_EQ(front_end->answer_u64(), 0U);
}

}  // namespace
}  // namespace capsem::vsock
