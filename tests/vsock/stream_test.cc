// Streams between a Device and a played guest: bulk, credit, ends and resets.
#include <array>

#include "tests/vsock/device_fixture.h"
#include "vsock/multiplexer.h"

namespace capsem::vsock {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

struct StreamTest : DeviceTest {
  // Sends `data` as the guest, within the credit the host gives.
  void guest_sends(std::span<const std::byte> data, std::size_t packet_bytes) {
    std::uint32_t sent = 0;
    std::uint32_t forwarded = 0;
    std::uint32_t window = 256 * 1024;
    while (!data.empty()) {
      const std::size_t size =
          std::min({packet_bytes, data.size(), std::size_t{window - (sent - forwarded)}});
      if (size == 0) {
        const Packet packet = front_end->receive();
        ASSERT_EQ(packet.header.op, Op::kCreditUpdate);
        forwarded = packet.header.forwarded_bytes;
        window = packet.header.buffer_bytes;
        continue;
      }
      front_end->send(Op::kData, kGuestPort, kHostPort, data.first(size));
      sent += static_cast<std::uint32_t>(size);
      data = data.subspan(size);
    }
  }
};

TEST_F(StreamTest, BulkFromTheGuestArrivesWhole) {
  for (const bool indirect : {false, true}) {
    start({.features = 1ULL << 32 | 1ULL << 30 | kIndirectFeature | kEventIndexFeature,
           .indirect = indirect});
    const auto stream = accept();
    const std::vector<std::byte> data = pattern(5'000'001);
    std::vector<std::byte> received;
    Result<> result;
    loop.spawn(read_to_end(*stream, received, result, 10'000));
    guest_sends(data, 65536);
    front_end->send(Op::kShutdown, kGuestPort, kHostPort, {}, kShutdownSend);
    loop.run();
    EXPECT_TRUE(result) << result.error().message();
    EXPECT_TRUE(received == data);
    EXPECT_THAT(broken, IsEmpty());
  }
}

TEST_F(StreamTest, BulkToTheGuestArrivesWholeWithinItsCredit) {
  start();
  const auto stream = accept();
  const std::vector<std::byte> data = pattern(3'000'001);
  std::optional<Result<>> written;
  loop.spawn(write(*stream, data, written));
  std::vector<std::byte> received;
  std::uint32_t announced = 0;
  constexpr std::uint32_t kWindow = 100'000;
  Header update = FrontEnd::header(Op::kCreditUpdate, kGuestPort, kHostPort);
  while (received.size() < data.size() && !HasFailure()) {
    const Packet packet = front_end->receive();
    ASSERT_EQ(packet.header.op, Op::kData);
    received.insert(received.end(), packet.payload.begin(), packet.payload.end());
    // The window of the request was 256 KiB; every update since names the smaller one.
    ASSERT_LE(received.size() - announced, 256U * 1024);
    if (received.size() - announced > kWindow / 2) {
      announced = static_cast<std::uint32_t>(received.size());
      update.buffer_bytes = kWindow;
      update.forwarded_bytes = announced;
      front_end->send(update);
    }
  }
  loop.run();
  EXPECT_TRUE(written && *written);
  EXPECT_TRUE(received == data);
}

TEST_F(StreamTest, AWriteWaitsForCreditAndStopsAtIt) {
  start();
  const auto stream = accept();
  const std::vector<std::byte> data = pattern(300'000);
  std::optional<Result<>> written;
  loop.spawn(write(*stream, data, written));
  std::size_t received = 0;
  while (received < 256 * 1024 && !HasFailure()) {
    received += front_end->receive().payload.size();
  }
  loop.poll();
  EXPECT_EQ(received, 256U * 1024);
  EXPECT_FALSE(front_end->poll()) << "nothing may be sent without credit";
  EXPECT_FALSE(written);
  Header update = FrontEnd::header(Op::kCreditUpdate, kGuestPort, kHostPort);
  update.forwarded_bytes = 256 * 1024;
  front_end->send(update);
  while (received < data.size() && !HasFailure()) {
    received += front_end->receive().payload.size();
  }
  loop.run();
  EXPECT_TRUE(written && *written);
}

TEST_F(StreamTest, AnswersACreditRequest) {
  start();
  const auto stream = accept();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("12345"));
  front_end->send(Op::kCreditRequest, kGuestPort, kHostPort);
  const Packet before = front_end->receive();
  EXPECT_EQ(before.header.op, Op::kCreditUpdate);
  EXPECT_EQ(before.header.forwarded_bytes, 0U) << "nobody has read yet";
  std::array<std::byte, 16> buffer{};
  loop.get(stream->read_some(buffer));
  front_end->send(Op::kCreditRequest, kGuestPort, kHostPort);
  EXPECT_EQ(front_end->receive().header.forwarded_bytes, 5U);
}

TEST_F(StreamTest, OneBulkWriterDoesNotStarveAnother) {
  start();
  const auto bulk = accept(1, 5001);
  const auto small = accept(2, 5002);
  const std::vector<std::byte> data(200'000);
  std::optional<Result<>> first;
  std::optional<Result<>> second;
  loop.spawn(write(*bulk, data, first));
  loop.spawn(write(*small, as_bytes("hello"), second));
  std::size_t position = 0;
  while (front_end->receive().header.destination_port != 2 && !HasFailure()) {
    ++position;
  }
  // What the ring held when the small write came goes first, and one packet in turn after that.
  EXPECT_LE(position, FrontEnd::kRingSize / 2 + 1U);
}

TEST_F(StreamTest, ControlGoesBeforeData) {
  start();
  const auto first = accept(1, 5001);
  const auto second = accept(2, 5002);
  const std::vector<std::byte> data(200'000);
  std::optional<Result<>> written[2];
  loop.spawn(write(*first, data, written[0]));
  loop.spawn(write(*second, data, written[1]));
  loop.poll();
  ASSERT_FALSE(written[0] && written[1]) << "the ring has no room for both";
  front_end->send(Op::kRequest, 3, 9);
  front_end->settle();
  for (int i = 0; i < FrontEnd::kRingSize / 2; ++i) {
    ASSERT_EQ(front_end->receive().header.op, Op::kData);
  }
  EXPECT_EQ(front_end->receive().header.op, Op::kReset);
  EXPECT_EQ(front_end->receive().header.op, Op::kData);
  first->reset();
  second->reset();
  loop.run();
}

TEST_F(StreamTest, TheGuestsEndIsSeenAfterItsData) {
  start();
  const auto stream = accept();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("last words"));
  front_end->send(Op::kShutdown, kGuestPort, kHostPort, {}, kShutdownSend);
  std::vector<std::byte> received;
  Result<> result;
  loop.spawn(read_to_end(*stream, received, result));
  loop.run();
  EXPECT_TRUE(result);
  EXPECT_EQ(as_text(received), "last words");
  EXPECT_TRUE(loop.get(stream->write_all(as_bytes("still writing"))));
  EXPECT_EQ(as_text(front_end->receive().payload), "still writing");
}

TEST_F(StreamTest, TheGuestsCloseIsAnsweredWithAResetAtOnce) {
  start();
  const auto stream = accept();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("kept"));
  front_end->send(Op::kShutdown, kGuestPort, kHostPort, {}, kShutdownBoth);
  EXPECT_EQ(front_end->receive().header.op, Op::kReset);
  std::vector<std::byte> received;
  Result<> result;
  loop.spawn(read_to_end(*stream, received, result));
  loop.run();
  EXPECT_TRUE(result) << result.error().message();
  EXPECT_EQ(as_text(received), "kept");
  EXPECT_FALSE(loop.get(stream->write_all(as_bytes("x"))));
}

TEST_F(StreamTest, AGuestThatNoLongerReceivesEndsAWrite) {
  start();
  const auto stream = accept();
  const std::vector<std::byte> data(1 << 20);
  std::optional<Result<>> written;
  loop.spawn(write(*stream, data, written));
  front_end->send(Op::kShutdown, kGuestPort, kHostPort, {}, kShutdownReceive);
  loop.run();
  ASSERT_TRUE(written && !*written);
  EXPECT_EQ(written->error().kind(), ErrorKind::kClosed);
  EXPECT_THAT(written->error().message(), HasSubstr("no longer receives"));
}

TEST_F(StreamTest, ShutdownWriteFollowsAPendingWrite) {
  start();
  const auto stream = accept();
  const std::vector<std::byte> data(200'000);
  std::optional<Result<>> written;
  loop.spawn(write(*stream, data, written));
  loop.poll();
  stream->shutdown_write();
  std::size_t received = 0;
  Packet packet;
  while ((packet = next_packet()).header.op == Op::kData) {
    received += packet.payload.size();
  }
  EXPECT_EQ(received, data.size());
  EXPECT_EQ(packet.header.op, Op::kShutdown);
  EXPECT_EQ(packet.header.flags, kShutdownSend);
}

TEST_F(StreamTest, AFinishedStreamIsClosedInOrder) {
  start();
  auto stream = accept();
  front_end->send(Op::kShutdown, kGuestPort, kHostPort, {}, kShutdownSend);
  front_end->settle();
  stream->shutdown_write();
  EXPECT_EQ(front_end->receive().header.flags, kShutdownSend);
  stream.reset();
  const Packet packet = front_end->receive();
  EXPECT_EQ(packet.header.op, Op::kShutdown);
  EXPECT_EQ(packet.header.flags, kShutdownBoth);
}

TEST_F(StreamTest, AnUnfinishedStreamIsReset) {
  start();
  auto stream = accept();
  stream.reset();
  EXPECT_EQ(front_end->receive().header.op, Op::kReset);
  // The ports are free again.
  const auto again = accept();
}

TEST_F(StreamTest, ResetEndsPendingReadsAndWrites) {
  start();
  const auto stream = accept();
  const std::vector<std::byte> data(1 << 20);
  std::vector<std::byte> received;
  Result<> read;
  std::optional<Result<>> written;
  loop.spawn(read_to_end(*stream, received, read));
  loop.spawn(write(*stream, data, written));
  loop.poll();
  stream->reset();
  loop.run();
  EXPECT_FALSE(read);
  EXPECT_TRUE(written && !*written);
}

TEST_F(StreamTest, AResetOfTheGuestIsAnErrorAfterTheData) {
  start();
  const auto stream = accept();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("half"));
  front_end->send(Op::kReset, kGuestPort, kHostPort);
  front_end->settle();
  std::vector<std::byte> received;
  Result<> result;
  loop.spawn(read_to_end(*stream, received, result));
  loop.run();
  EXPECT_EQ(as_text(received), "half");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::kClosed);
}

TEST_F(StreamTest, OnlyOneReadAndOneWriteAtATime) {
  start();
  const auto stream = accept();
  const std::vector<std::byte> data(1 << 20);
  std::vector<std::byte> received;
  Result<> read;
  std::optional<Result<>> written;
  loop.spawn(read_to_end(*stream, received, read));
  loop.spawn(write(*stream, data, written));
  loop.poll();
  std::array<std::byte, 4> buffer{};
  EXPECT_FALSE(loop.get(stream->read_some(buffer)));
  EXPECT_FALSE(loop.get(stream->write_all(buffer)));
  stream->reset();
  loop.run();
}

// What a connection must not do: each row is answered with a reset and an error for the reader.
struct Break {
  const char* name;
  void (*commit)(FrontEnd&);
};

constexpr std::uint32_t kGuest = DeviceTest::kGuestPort;
constexpr std::uint32_t kHost = DeviceTest::kHostPort;

const Break kBreaks[] = {
    {"MoreThanTheCredit",
     [](FrontEnd& guest) {
       const std::vector<std::byte> data(60'000);
       for (int i = 0; i < 5; ++i) {
         guest.send(Op::kData, kGuest, kHost, data);
       }
     }},
    {"ASecondRequest", [](FrontEnd& guest) { guest.send(Op::kRequest, kGuest, kHost); }},
    {"AResponseToNothing", [](FrontEnd& guest) { guest.send(Op::kResponse, kGuest, kHost); }},
    {"AnUnknownOperation", [](FrontEnd& guest) { guest.send(Op{99}, kGuest, kHost); }},
    {"OperationZero", [](FrontEnd& guest) { guest.send(Op::kInvalid, kGuest, kHost); }},
    {"ALengthBeyondThePacket",
     [](FrontEnd& guest) {
       Header header = FrontEnd::header(Op::kData, kGuest, kHost);
       header.payload_bytes = 100;
       guest.send(header, as_bytes("short"));
     }},
    {"ALengthOf4Gigabytes",
     [](FrontEnd& guest) {
       Header header = FrontEnd::header(Op::kData, kGuest, kHost);
       header.payload_bytes = 0xffffffff;
       guest.send(header, as_bytes("short"));
     }},
    {"CreditForWhatWasNeverSent",
     [](FrontEnd& guest) {
       Header header = FrontEnd::header(Op::kCreditUpdate, kGuest, kHost);
       header.forwarded_bytes = 1;
       guest.send(header);
     }},
    {"DataAfterItsEnd",
     [](FrontEnd& guest) {
       guest.send(Op::kShutdown, kGuest, kHost, {}, kShutdownSend);
       guest.send(Op::kData, kGuest, kHost, as_bytes("late"));
     }},
};

struct BreakTest : DeviceTest, testing::WithParamInterface<Break> {};

TEST_P(BreakTest, ResetsThatConnectionAndNoOther) {
  start();
  const auto stream = accept();
  const auto other = accept(99, 5099);
  GetParam().commit(*front_end);
  EXPECT_EQ(next_packet().header.op, Op::kReset);
  EXPECT_FALSE(loop.get(stream->write_all(as_bytes("x"))));
  ASSERT_TRUE(loop.get(other->write_all(as_bytes("fine"))));
  EXPECT_EQ(as_text(next_packet().payload), "fine");
  EXPECT_THAT(broken, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Rules, BreakTest, testing::ValuesIn(kBreaks),
                         [](const auto& rule) { return std::string(rule.param.name); });

TEST_F(DeviceTest, PacketsOfOtherAddressesAndTypesDoNoHarm) {
  start();
  const auto stream = accept();
  Header spoofed = FrontEnd::header(Op::kReset, kGuestPort, kHostPort);
  spoofed.source_cid = 4;
  front_end->send(spoofed);
  Header other_type = FrontEnd::header(Op::kRequest, 1, 2);
  other_type.type = 2;
  front_end->send(other_type);
  const Packet refused_type = front_end->receive();
  EXPECT_EQ(refused_type.header.op, Op::kReset);
  EXPECT_EQ(refused_type.header.type, 2);
  Header other_host = FrontEnd::header(Op::kRequest, 1, 2);
  other_host.destination_cid = 77;
  front_end->send(other_host);
  const Packet refused_cid = front_end->receive();
  EXPECT_EQ(refused_cid.header.op, Op::kReset);
  EXPECT_EQ(refused_cid.header.source_cid, 77U);
  EXPECT_TRUE(loop.get(stream->write_all(as_bytes("unharmed"))));
}

TEST_F(DeviceTest, AGuestThatTakesNoAnswersIsNotHeardForEver) {
  start({.post_buffers = false});
  // Each packet for no connection needs a reset, and there is nowhere to put it.
  constexpr std::uint32_t kLimit = Multiplexer::kMaxQueuedResets;
  for (std::uint32_t i = 0; i < kLimit; ++i) {
    front_end->send(Op::kRequest, i, 9);
  }
  front_end->settle();
  front_end->send(Op::kRequest, kLimit, 9);
  loop.run_until([&] { return front_end->kick_was_seen(kTransmitRing); });
  loop.poll();
  // Where the ring is to go on: at the packet that was not taken.
  EXPECT_EQ(front_end->stop_ring(kTransmitRing), kLimit);
}

}  // namespace
}  // namespace capsem::vsock
