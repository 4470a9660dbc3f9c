#include "vsock/device.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include "tests/vsock/device_fixture.h"

namespace capsem::vsock {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(DeviceTest, TellsTheGuestItsCid) {
  start();
  const std::uint32_t wanted[] = {0, 8, 0, 0, 0};  // offset, size, flags, and room for the answer
  front_end->send_message(Request::kGetConfig, std::as_bytes(std::span(wanted)));
  const std::vector<std::byte> answer = front_end->answer();
  ASSERT_EQ(answer.size(), 20U);
  EXPECT_EQ(std::to_integer<int>(answer[12]), FrontEnd::kGuestCid);
}

TEST_F(DeviceTest, GuestConnectsAndBothSidesTalk) {
  start();
  const auto stream = accept();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("from the guest"));
  std::vector<std::byte> buffer(100);
  const auto size = loop.get(stream->read_some(buffer));
  ASSERT_TRUE(size) << size.error().message();
  EXPECT_EQ(as_text(std::span(buffer).first(*size)), "from the guest");

  ASSERT_TRUE(loop.get(stream->write_all(as_bytes("from the host"))));
  const Packet packet = front_end->receive();
  EXPECT_EQ(packet.header.op, Op::kData);
  EXPECT_EQ(packet.header.source_port, kHostPort);
  EXPECT_EQ(packet.header.destination_port, kGuestPort);
  EXPECT_EQ(as_text(packet.payload), "from the host");
}

TEST_F(DeviceTest, HostConnectsToTheGuest) {
  start();
  Pending pending;
  loop.spawn(connect(7000, pending));
  const Packet request = front_end->receive();
  EXPECT_EQ(request.header.op, Op::kRequest);
  EXPECT_EQ(request.header.source_cid, kHostCid);
  EXPECT_EQ(request.header.destination_port, 7000U);
  EXPECT_EQ(request.header.buffer_bytes, 256U * 1024);
  EXPECT_FALSE(pending.result);
  front_end->send(Op::kResponse, 7000, request.header.source_port);
  loop.run();
  ASSERT_TRUE(pending.result && *pending.result);
  ASSERT_TRUE(loop.get((**pending.result)->write_all(as_bytes("hello"))));
  EXPECT_EQ(as_text(front_end->receive().payload), "hello");
}

TEST_F(DeviceTest, RefusesAPortWithoutListener) {
  start();
  front_end->send(Op::kRequest, kGuestPort, 9);
  const Packet answer = front_end->receive();
  EXPECT_EQ(answer.header.op, Op::kReset);
  EXPECT_EQ(answer.header.source_port, 9U);
  EXPECT_EQ(answer.header.destination_port, kGuestPort);
}

TEST_F(DeviceTest, GuestRefusesAConnection) {
  start();
  Pending pending;
  loop.spawn(connect(7000, pending));
  const Packet request = front_end->receive();
  front_end->send(Op::kReset, 7000, request.header.source_port);
  loop.run();
  ASSERT_TRUE(pending.result);
  ASSERT_FALSE(*pending.result);
  EXPECT_EQ(pending.result->error().kind(), ErrorKind::kClosed);
  EXPECT_THAT(pending.result->error().message(), HasSubstr("nothing in the guest listens"));
}

TEST_F(DeviceTest, OnePortHasOneListener) {
  start();
  EXPECT_TRUE(device->listen(1, kQuota, [](std::unique_ptr<Stream>) {}));
  EXPECT_FALSE(device->listen(1, kQuota, [](std::unique_ptr<Stream>) {}));
  device->stop_listening(1);
  EXPECT_TRUE(device->listen(1, kQuota, [](std::unique_ptr<Stream>) {}));
}

TEST_F(DeviceTest, ConnectingWithoutADriverFailsAtOnce) {
  auto sockets = socket_pair();
  device = Device::create(loop.executor(), std::move(sockets->first), {}).value();
  EXPECT_FALSE(device->running());
  const auto stream = loop.get(device->connect(7000));
  ASSERT_FALSE(stream);
  EXPECT_THAT(stream.error().message(), HasSubstr("driver is not running"));
}

TEST_F(DeviceTest, TwoThousandConnectionsAtOnce) {
  start();
  constexpr std::uint32_t kCount = 2000;
  std::vector<std::unique_ptr<Stream>> streams;
  ASSERT_TRUE(device->listen(
      kHostPort, {.connections = kCount, .receive_buffer_bytes = 64 << 20},
      [&](std::unique_ptr<Stream> stream) { streams.push_back(std::move(stream)); }));
  std::uint32_t responses = 0;
  const auto count_responses = [&] {
    while (const auto packet = front_end->poll()) {
      responses += packet->header.op == Op::kResponse ? 1 : 0;
    }
  };
  for (std::uint32_t i = 0; i < kCount; ++i) {
    front_end->send(Op::kRequest, i, kHostPort);
    count_responses();
  }
  loop.run_until([&] {
    count_responses();
    return responses == kCount && streams.size() == kCount;
  });
  // Each of them carries its own bytes.
  std::vector<std::byte> buffer(16);
  for (std::uint32_t i = 0; i < kCount; i += 97) {
    front_end->send(Op::kData, i, kHostPort, as_bytes(std::to_string(i)));
    const auto size = loop.get(streams[i]->read_some(buffer));
    ASSERT_TRUE(size);
    EXPECT_EQ(as_text(std::span(buffer).first(*size)), std::to_string(i));
  }
  streams.clear();
  std::uint32_t resets = 0;
  loop.run_until([&] {
    while (const auto packet = front_end->poll()) {
      resets += packet->header.op == Op::kReset ? 1 : 0;
    }
    return resets == kCount;
  });
}

// Two requests lie in the ring when the device looks: both are accepted in one batch.
struct BatchTest : DeviceTest {
  void send_two_requests() {
    for (const std::uint32_t port : {1U, 2U}) {
      front_end->send(Op::kRequest, port, kHostPort);
    }
  }

  // Until both have been answered: how many of them were reset.
  int resets() {
    bool reset[2] = {};
    bool answered[2] = {};
    loop.run_until([&] {
      while (const auto packet = front_end->poll()) {
        const std::uint32_t index = packet->header.destination_port - 1;
        answered[index] = true;
        reset[index] = reset[index] || packet->header.op == Op::kReset;
      }
      return answered[0] && answered[1] && (reset[0] || reset[1]);
    });
    return reset[0] + reset[1];
  }
};

TEST_F(BatchTest, AHandlerThatStopsListeningIsNotCalledAgain) {
  start();
  std::vector<std::unique_ptr<Stream>> streams;
  ASSERT_TRUE(device->listen(kHostPort, kQuota, [&](std::unique_ptr<Stream> stream) {
    streams.push_back(std::move(stream));
    device->stop_listening(kHostPort);
  }));
  send_two_requests();
  EXPECT_EQ(resets(), 1);
  EXPECT_EQ(streams.size(), 1U);
}

TEST_F(BatchTest, AHandlerThatListensAnewIsNotCalledAgain) {
  start();
  std::vector<std::unique_ptr<Stream>> streams;
  int called_anew = 0;
  ASSERT_TRUE(device->listen(kHostPort, kQuota, [&](std::unique_ptr<Stream> stream) {
    streams.push_back(std::move(stream));
    device->stop_listening(kHostPort);
    ASSERT_TRUE(device->listen(kHostPort, kQuota, [&](std::unique_ptr<Stream>) { ++called_anew; }));
  }));
  send_two_requests();
  EXPECT_EQ(resets(), 1);
  EXPECT_EQ(streams.size(), 1U);
  EXPECT_EQ(called_anew, 0);
  front_end->send(Op::kRequest, 3, kHostPort);
  loop.run_until([&] { return called_anew == 1; });
}

TEST_F(BatchTest, NoHandlerIsCalledOfADeviceThatWasDestroyed) {
  start();
  int called = 0;
  ASSERT_TRUE(device->listen(kHostPort, kQuota, [&](std::unique_ptr<Stream>) {
    ++called;
    device.reset();
  }));
  send_two_requests();
  loop.run_until([&] { return called != 0; });
  loop.poll();
  EXPECT_EQ(called, 1);
}

TEST_F(DeviceTest, AConnectThatTheGuestDoesNotAnswerEndsInTime) {
  start();
  const auto stream = loop.get(device->connect(7000, std::chrono::milliseconds(20)));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().kind(), ErrorKind::kTimeout);
  EXPECT_THAT(stream.error().message(), HasSubstr("did not answer in time"));
  const Packet request = front_end->receive();
  const Packet reset = front_end->receive();
  EXPECT_EQ(reset.header.op, Op::kReset);
  EXPECT_EQ(reset.header.source_port, request.header.source_port);
}

TEST_F(DeviceTest, TheLimitOfAConnectIsOverOnceTheGuestHasAnswered) {
  start();
  std::optional<Result<std::unique_ptr<Stream>>> connected;
  const auto connect_briefly = [&]() -> Task<> {
    connected.emplace(co_await device->connect(7000, std::chrono::milliseconds(200)));
  };
  loop.spawn(connect_briefly());
  const Packet request = front_end->receive();
  front_end->send(Op::kResponse, 7000, request.header.source_port);
  loop.run();
  ASSERT_TRUE(connected && *connected);
  boost::asio::steady_timer later(loop.context(), std::chrono::milliseconds(250));
  bool passed = false;
  later.async_wait([&](const boost::system::error_code&) { passed = true; });
  loop.run_until([&] { return passed; });
  EXPECT_TRUE(loop.get((**connected)->write_all(as_bytes("still there"))));
}

TEST_F(DeviceTest, ARebootResetsStreamsAndThenAllWorksAgain) {
  start();
  const auto stream = accept();
  Pending pending;
  loop.spawn(connect(7000, pending));
  front_end->receive();
  front_end->reboot();
  loop.run();
  ASSERT_TRUE(pending.result) << "a pending connect must end when the guest goes away";
  EXPECT_FALSE(*pending.result);
  std::vector<std::byte> buffer(16);
  const auto size = loop.get(stream->read_some(buffer));
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error().kind(), ErrorKind::kClosed);

  const auto again = accept();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("again"));
  EXPECT_EQ(loop.get(again->read_some(buffer)).value_or(0), 5U);
  EXPECT_THAT(broken, IsEmpty());
}

TEST_F(DeviceTest, AResetEndsStreamsAtOnce) {
  start();
  const auto stream = accept();
  front_end->send_message(Request::kResetDevice, {});
  std::vector<std::byte> buffer(16);
  const auto size = loop.get(stream->read_some(buffer));
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error().kind(), ErrorKind::kClosed);
  EXPECT_FALSE(device->running());
}

TEST_F(DeviceTest, TheStreamsOfADriverThatLeftAreResetWhenThatIsKnown) {
  start();
  const auto stream = accept();
  device->driver_left();
  EXPECT_TRUE(device->running());  // the rings are served
  EXPECT_EQ(stopped, 0);
  front_end->stop_ring(kReceiveRing);
  front_end->stop_ring(kTransmitRing);
  loop.poll();
  EXPECT_EQ(stopped, 1);
  EXPECT_TRUE(device->running());
  device->driver_left();
  std::vector<std::byte> buffer(16);
  const auto size = loop.get(stream->read_some(buffer));
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error().kind(), ErrorKind::kClosed);
  EXPECT_FALSE(device->running());
}

TEST_F(DeviceTest, RingsGoOnWhereTheyStoodAfterAPause) {
  start();
  const auto stream = accept();
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("before"));
  front_end->settle();
  const std::uint16_t receive = front_end->stop_ring(kReceiveRing);
  const std::uint16_t transmit = front_end->stop_ring(kTransmitRing);
  EXPECT_EQ(transmit, 2);
  // Either side has something to send meanwhile.
  std::optional<Result<>> written;
  loop.spawn(write(*stream, as_bytes("host"), written));
  Pending pending;
  loop.spawn(connect(7000, pending));
  loop.poll();
  EXPECT_TRUE(device->running());
  EXPECT_FALSE(front_end->poll());
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes(" and after"));
  front_end->start_ring(kReceiveRing, receive);
  front_end->start_ring(kTransmitRing, transmit);
  std::vector<Op> sent{next_packet().header.op, next_packet().header.op};
  EXPECT_THAT(sent, testing::UnorderedElementsAre(Op::kData, Op::kRequest));
  loop.run_until([&] { return written.has_value(); });
  EXPECT_TRUE(*written);
  std::string received;
  std::vector<std::byte> buffer(64);
  while (received.size() < 16) {
    const auto size = loop.get(stream->read_some(buffer));
    ASSERT_TRUE(size) << size.error().message();
    received += as_text(std::span(buffer).first(*size));
  }
  EXPECT_EQ(received, "before and after");
  const auto another = accept(77, 5077);
  EXPECT_THAT(broken, IsEmpty());
  device.reset();
  loop.run();
}

TEST_F(DeviceTest, QemuHangingUpEndsEverythingAndIsToldAsSuch) {
  start();
  const auto stream = accept();
  std::vector<std::byte> received;
  Result<> read;
  loop.spawn(read_to_end(*stream, received, read));
  loop.poll();
  front_end->hang_up();
  loop.run();
  EXPECT_FALSE(read);
  EXPECT_FALSE(device->running());
  loop.run_until([&] { return !ends.empty(); });
  EXPECT_EQ(ends.front().kind(), ErrorKind::kClosed);
  device.reset();
  loop.poll();
  EXPECT_EQ(ends.size(), 1U);
}

TEST_F(DeviceTest, NothingIsToldOfADeviceThatWasDestroyed) {
  start();
  Pending pending;  // its wait keeps the inside of the device until after what is told
  loop.spawn(connect(7000, pending));
  EXPECT_EQ(front_end->receive().header.op, Op::kRequest);
  const Quota one{.connections = 1, .receive_buffer_bytes = 1 << 20};
  std::vector<std::unique_ptr<Stream>> accepted;
  ASSERT_TRUE(device->listen(kHostPort, one, [&](std::unique_ptr<Stream> stream) {
    accepted.push_back(std::move(stream));
  }));
  front_end->send(Op::kRequest, kGuestPort, kHostPort);
  EXPECT_EQ(front_end->receive().header.op, Op::kResponse);
  front_end->send(Op::kRequest, kGuestPort + 1, kHostPort);
  // One handler at a time, so that the device is destroyed while a refusal is about to be told.
  std::optional<Packet> answer;
  while (!(answer = front_end->poll()) && loop.context().run_one() != 0) {
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.op, Op::kReset);
  ASSERT_TRUE(refused.empty());
  device.reset();
  loop.poll();
  EXPECT_TRUE(refused.empty());
}

TEST_F(DeviceTest, SettingARingUpAgainInterruptsTheGuest) {
  start();
  for (const std::size_t ring : {kReceiveRing, kTransmitRing}) {
    front_end->calls(ring);
  }
  // A memory table that changes sets up both rings anew.
  front_end->set_memory_table();
  for (const std::size_t ring : {kReceiveRing, kTransmitRing}) {
    loop.run_until([&] { return front_end->calls(ring) != 0; });
  }
  // So does another kick, here with an interrupt due: the transmitted packet has been used, which
  // the guest has not been shown.
  front_end->send(Op::kCreditRequest, 1, 9);
  EXPECT_EQ(front_end->receive().header.op, Op::kReset);
  front_end->calls(kTransmitRing);
  front_end->replace_kick(kTransmitRing);
  loop.run_until([&] { return front_end->calls(kTransmitRing) != 0; });
  EXPECT_EQ(front_end->used_index(kTransmitRing), 1U);
}

TEST_F(DeviceTest, StreamsOutliveTheDevice) {
  start();
  const auto stream = accept();
  std::vector<std::byte> received;
  Result<> read;
  std::optional<Result<>> written;
  Pending pending;
  const std::vector<std::byte> data(1 << 20);
  loop.spawn(read_to_end(*stream, received, read));
  loop.spawn(write(*stream, data, written));
  loop.spawn(connect(7000, pending));
  loop.poll();
  device.reset();
  loop.run();
  EXPECT_FALSE(read);
  EXPECT_TRUE(written && !*written);
  EXPECT_TRUE(pending.result && !*pending.result);
  stream->shutdown_write();
  stream->reset();
}

TEST_F(DeviceTest, ACancelledConnectTellsTheGuest) {
  start();
  boost::asio::cancellation_signal cancel;
  std::optional<Result<std::unique_ptr<Stream>>> result;
  boost::asio::co_spawn(
      loop.context(), device->connect(7000),
      boost::asio::bind_cancellation_slot(
          cancel.slot(), [&](std::exception_ptr, Result<std::unique_ptr<Stream>> stream) {
            result.emplace(std::move(stream));
          }));
  const Packet request = front_end->receive();
  cancel.emit(boost::asio::cancellation_type::terminal);
  loop.run_until([&] { return result.has_value(); });
  EXPECT_FALSE(*result);
  const Packet reset = front_end->receive();
  EXPECT_EQ(reset.header.op, Op::kReset);
  EXPECT_EQ(reset.header.source_port, request.header.source_port);
}

TEST_F(DeviceTest, InterruptsOnlyWhenAsked) {
  start();
  const auto stream = accept();
  front_end->calls(kReceiveRing);
  ASSERT_TRUE(loop.get(stream->write_all(as_bytes("one"))));
  front_end->receive();
  loop.poll();
  EXPECT_EQ(front_end->calls(kReceiveRing), 1U);
  // VRING_AVAIL_F_NO_INTERRUPT
  front_end->write_at(FrontEnd::ring_offset(kReceiveRing) + 0x5000, as_bytes("\1"));
  ASSERT_TRUE(loop.get(stream->write_all(as_bytes("two"))));
  front_end->receive();
  loop.poll();
  EXPECT_EQ(front_end->calls(kReceiveRing), 0U);
}

// What the guest stored just before it looked may reach us late: see Device::Core::settle().
TEST_F(DeviceTest, ALostInterruptIsMadeUpFor) {
  start();
  const auto stream = accept();
  const std::uint64_t flags = FrontEnd::ring_offset(kReceiveRing) + 0x5000;
  front_end->write_at(flags, as_bytes("\1"));
  ASSERT_TRUE(loop.get(stream->write_all(as_bytes("one"))));
  front_end->receive();
  front_end->calls(kReceiveRing);
  front_end->write_at(flags, std::as_bytes(std::span("", 1)));
  loop.run_until([&] { return front_end->calls(kReceiveRing) != 0; });
}

TEST_F(DeviceTest, ALostKickIsMadeUpFor) {
  start();
  const auto stream = accept();
  ASSERT_TRUE(loop.get(stream->write_all(as_bytes("one"))));
  constexpr std::uint64_t kPlace = 0x900000;
  constexpr std::uint16_t kUnused = 120;
  front_end->write_at(kPlace, encode(FrontEnd::header(Op::kRequest, 1, 9)));
  front_end->write_descriptor(kTransmitRing, kUnused,
                              {FrontEnd::guest(kPlace), kHeaderBytes, 0, 0});
  front_end->make_available(kTransmitRing, kUnused);
  EXPECT_EQ(front_end->receive().header.op, Op::kData);
  EXPECT_EQ(front_end->receive().header.op, Op::kReset);
}

}  // namespace
}  // namespace capsem::vsock
