// What a guest can take up of the host, port by port, and that it hinders no other port by it; and
// who in it may connect.
#include <algorithm>

#include "tests/vsock/device_fixture.h"
#include "vsock/multiplexer.h"

namespace capsem::vsock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct QuotaTest : DeviceTest {
  static constexpr std::uint32_t kGreedyPort = 6000;

  // Keeps every stream that the guest opens on the port, and reads none.
  void keep(std::uint32_t port, const Quota& quota) {
    ASSERT_TRUE(device->listen(port, quota, [this](std::unique_ptr<Stream> stream) {
      kept.push_back(std::move(stream));
    }));
  }

  // Sends requests from `count` ports of the guest, and takes the answers.
  void send_requests(std::uint32_t host_port, std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      front_end->send(Op::kRequest, first + i, host_port);
      take_answers();
    }
    loop.run_until([&] {
      take_answers();
      return responses + resets == answers_due + count;
    });
    answers_due += count;
    loop.poll();  // the handlers of those accepted
  }

  void take_answers() {
    while (const auto packet = front_end->poll()) {
      responses += packet->header.op == Op::kResponse ? 1 : 0;
      resets += packet->header.op == Op::kReset ? 1 : 0;
      if (packet->header.op == Op::kResponse) {
        promised.push_back(packet->header.buffer_bytes);
      }
    }
  }

  // The host connects to the guest, which answers at once.
  std::unique_ptr<Stream> connect_to_guest() {
    Pending pending;
    loop.spawn(connect(7000, pending));
    const Packet request = next_packet();
    EXPECT_EQ(request.header.op, Op::kRequest);
    front_end->send(Op::kResponse, 7000, request.header.source_port);
    loop.run();
    return pending.result && *pending.result ? std::move(**pending.result) : nullptr;
  }

  std::size_t promised_bytes() const {
    std::size_t sum = 0;
    for (const std::uint32_t bytes : promised) {
      sum += bytes;
    }
    return sum;
  }

  std::vector<std::unique_ptr<Stream>> kept;
  std::vector<std::uint32_t> promised;  // the receive buffer of each accepted connection
  std::uint32_t responses = 0;
  std::uint32_t resets = 0;
  std::uint32_t answers_due = 0;
};

TEST_F(QuotaTest, AHundredThousandConnectionsOfOnePortHinderNoOther) {
  start();
  keep(kGreedyPort, {.connections = 8, .receive_buffer_bytes = 128 * 1024});
  constexpr std::uint32_t kCount = 100'000;
  std::vector<std::unique_ptr<Stream>> others;
  for (std::uint32_t sent = 0; sent < kCount; sent += kCount / 4) {
    send_requests(kGreedyPort, sent, kCount / 4);
    others.push_back(accept(kCount + sent));
    others.push_back(connect_to_guest());
    ASSERT_TRUE(others.front() && others.back());
  }
  EXPECT_EQ(responses, 8U);
  EXPECT_EQ(resets, kCount - 8);
  EXPECT_EQ(kept.size(), 8U);
  loop.run_until([&] { return !refused.empty(); });
  EXPECT_THAT(refused, ElementsAre(HasSubstr("vsock port 6000: its quota of 8 connections")));
}

TEST_F(QuotaTest, FullBuffersOfOnePortHinderNoOther) {
  start();
  keep(kGreedyPort, {.connections = 8, .receive_buffer_bytes = 128 * 1024});
  send_requests(kGreedyPort, 0, 8);
  ASSERT_EQ(promised.size(), 8U);
  EXPECT_LE(promised_bytes(), 128U * 1024);
  for (std::uint32_t port = 0; port < 8; ++port) {
    const std::vector<std::byte> data(promised[port]);
    front_end->send(Op::kData, port, kGreedyPort, data);
  }
  const auto other = accept();
  const auto own = connect_to_guest();
  ASSERT_TRUE(other && own);
  front_end->send(Op::kData, kGuestPort, kHostPort, as_bytes("through"));
  std::vector<std::byte> buffer(16);
  EXPECT_EQ(loop.get(other->read_some(buffer)).value_or(0), 7U);
  EXPECT_TRUE(loop.get(own->write_all(as_bytes("out"))));
}

TEST_F(QuotaTest, EveryConnectionWithinTheQuotaHasABuffer) {
  start();
  keep(kGreedyPort, {.connections = 100, .receive_buffer_bytes = 4 << 20});
  send_requests(kGreedyPort, 0, 100);
  EXPECT_EQ(responses, 100U);
  EXPECT_EQ(std::ranges::max(promised), 256U * 1024) << "the first have all they can use";
  EXPECT_EQ(std::ranges::min(promised), Service::kShareBytes);
  EXPECT_LE(promised_bytes(), 4U << 20);
}

// As with the control port, of which a second process of the guest is to have no part.
TEST_F(QuotaTest, OfTwoRequestsThatComeTogetherTheFirstHasTheOnlyPlace) {
  start();
  keep(kGreedyPort, {.connections = 1, .receive_buffer_bytes = 64 * 1024});
  // The device sees all four at its next turn, before it has called the handler.
  front_end->send(Op::kRequest, 1, kGreedyPort);
  front_end->send(Op::kData, 1, kGreedyPort, as_bytes("first"));
  front_end->send(Op::kRequest, 2, kGreedyPort);
  front_end->send(Op::kData, 2, kGreedyPort, as_bytes("second"));
  front_end->settle();
  std::vector<Op> to_first;
  std::vector<Op> to_second;
  while (const auto packet = front_end->poll()) {
    (packet->header.destination_port == 1 ? to_first : to_second).push_back(packet->header.op);
  }
  EXPECT_THAT(to_first, ElementsAre(Op::kResponse));
  EXPECT_THAT(to_second, ElementsAre(Op::kReset, Op::kReset));
  ASSERT_EQ(kept.size(), 1U);
  std::vector<std::byte> buffer(64);
  EXPECT_EQ(loop.get(kept.front()->read_some(buffer)).value_or(0), 5U);
  EXPECT_EQ(as_text(std::span(buffer).first(5)), "first");
  EXPECT_TRUE(loop.get(kept.front()->write_all(as_bytes("answer"))));
  EXPECT_EQ(next_packet().header.destination_port, 1U);
}

TEST_F(QuotaTest, AConnectionCountsUntilItsStreamIsGone) {
  start();
  keep(kGreedyPort, {.connections = 2, .receive_buffer_bytes = 64 * 1024});
  send_requests(kGreedyPort, 0, 2);
  EXPECT_EQ(responses, 2U);
  // The guest hangs up, but what it sent lies in the host's memory until somebody reads it.
  for (const std::uint32_t port : {0U, 1U}) {
    front_end->send(Op::kData, port, kGreedyPort, as_bytes("unread"));
    front_end->send(Op::kReset, port, kGreedyPort);
  }
  send_requests(kGreedyPort, 10, 1);
  EXPECT_EQ(responses, 2U);
  ASSERT_EQ(kept.size(), 2U);
  kept.pop_back();
  send_requests(kGreedyPort, 20, 1);
  EXPECT_EQ(responses, 3U);
}

TEST_F(QuotaTest, ListeningAnewDoesNotGiveAFreshQuota) {
  start();
  constexpr Quota kTwo{.connections = 2, .receive_buffer_bytes = 64 * 1024};
  keep(kGreedyPort, kTwo);
  send_requests(kGreedyPort, 0, 2);
  device->stop_listening(kGreedyPort);
  keep(kGreedyPort, kTwo);
  send_requests(kGreedyPort, 10, 1);
  EXPECT_EQ(responses, 2U);
  kept.clear();
  front_end->settle();
  while (front_end->poll()) {
  }
  send_requests(kGreedyPort, 20, 1);
  EXPECT_EQ(responses, 3U);
}

TEST_F(QuotaTest, QuotasOverTheLimitOfTheDeviceAreRefused) {
  constexpr Quota kReserve{.connections = 2, .receive_buffer_bytes = 64 * 1024};
  start({}, {.limit = {.connections = 10, .receive_buffer_bytes = 320 * 1024},
             .host_reserve = kReserve});
  const auto listen = [&](std::uint32_t port, const Quota& quota) {
    return device->listen(port, quota, [](std::unique_ptr<Stream>) {}).has_value();
  };
  EXPECT_FALSE(listen(1, {.connections = 0, .receive_buffer_bytes = 4096}));
  EXPECT_FALSE(listen(1, {.connections = 8, .receive_buffer_bytes = 4096}));
  EXPECT_FALSE(listen(1, {.connections = 9, .receive_buffer_bytes = 256 * 1024}));
  EXPECT_FALSE(listen(1, {.connections = 8, .receive_buffer_bytes = 256 * 1024 + 1}));
  EXPECT_TRUE(listen(1, {.connections = 4, .receive_buffer_bytes = 128 * 1024}));
  EXPECT_FALSE(listen(2, {.connections = 5, .receive_buffer_bytes = 128 * 1024}));
  EXPECT_TRUE(listen(2, {.connections = 4, .receive_buffer_bytes = 128 * 1024}));
  device->stop_listening(1);
  EXPECT_TRUE(listen(3, {.connections = 4, .receive_buffer_bytes = 128 * 1024}));
}

TEST_F(QuotaTest, TheHostsOwnConnectionsHaveALimitToo) {
  start({}, {.host_reserve = {.connections = 2, .receive_buffer_bytes = 64 * 1024}});
  const auto first = connect_to_guest();
  auto second = connect_to_guest();
  ASSERT_TRUE(first && second);
  const auto third = loop.get(device->connect(7000));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().kind(), ErrorKind::kNoSpace);
  second.reset();
  EXPECT_EQ(next_packet().header.op, Op::kReset);
  EXPECT_TRUE(connect_to_guest());
}

// How many packets come before the first that goes to `guest_port`.
int packets_before(FrontEnd& front_end, std::uint32_t guest_port) {
  int before = 0;
  while (front_end.receive().header.destination_port != guest_port &&
         !testing::Test::HasFailure()) {
    ++before;
  }
  return before;
}

constexpr int kInTheRing = FrontEnd::kRingSize / 2;  // what went out before

TEST_F(QuotaTest, WritersOfOnePortTakeOneTurnTogether) {
  start();
  keep(kGreedyPort, {.connections = 50, .receive_buffer_bytes = 1 << 20});
  send_requests(kGreedyPort, 100, 50);
  loop.run_until([&] { return kept.size() == 50; });
  const auto other = accept();
  const std::vector<std::byte> data(200'000);
  std::vector<std::optional<Result<>>> written(51);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    loop.spawn(write(*kept[i], data, written[i]));
  }
  loop.poll();
  loop.spawn(write(*other, as_bytes("hello"), written.back()));
  EXPECT_LE(packets_before(*front_end, kGuestPort), kInTheRing + 2);
  device.reset();
  loop.run();
}

TEST_F(QuotaTest, AFloodOfRefusalsLeavesOthersTheirTurns) {
  start();
  const auto stream = accept();
  // The guest takes nothing meanwhile, so that hundreds of resets are due.
  for (std::uint32_t port = 10'000; port < 11'000; ++port) {
    front_end->send(Op::kRequest, port, 9);
  }
  front_end->settle();
  std::optional<Result<>> written;
  loop.spawn(write(*stream, as_bytes("data"), written));
  Pending pending;
  loop.spawn(connect(7000, pending));
  loop.poll();
  EXPECT_LE(packets_before(*front_end, 7000), kInTheRing + 2) << "the host's request";
  EXPECT_LE(packets_before(*front_end, kGuestPort), Multiplexer::kMaxControlInARow + 1);
  device.reset();
  loop.run();
  EXPECT_THAT(refused, IsEmpty()) << "nobody listens there, which is no matter of quota";
}

TEST_F(QuotaTest, APortOfRootTakesReservedPortsOnly) {
  start();
  constexpr std::uint32_t kPort = 6100;
  std::size_t taken = 0;
  ASSERT_TRUE(device->listen(
      kPort, {.connections = 8, .receive_buffer_bytes = 64 * 1024},
      [&](std::unique_ptr<Stream>) { ++taken; }, Callers::kRoot));
  for (auto [port, answer] : {std::pair{1024U, Op::kReset}, std::pair{0x80000400U, Op::kReset},
                              std::pair{1023U, Op::kResponse}, std::pair{1U, Op::kResponse}}) {
    front_end->send(Op::kRequest, port, kPort);
    EXPECT_EQ(next_packet().header.op, answer) << port;
    // The handler drops the stream, of which the guest is told.
    if (answer == Op::kResponse) {
      EXPECT_EQ(next_packet().header.op, Op::kReset);
    }
  }
  EXPECT_EQ(taken, 2U);
}

}  // namespace
}  // namespace capsem::vsock
