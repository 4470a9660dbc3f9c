// The control connection over socket pairs, with the time handed in.
#include "guest/init/control_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "wire/frame.h"

namespace capsem::guest::init {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

struct ControlLinkTest : ::testing::Test {
  ControlLink link{
      [this]() -> Result<Fd> {
        if (!reachable) return fail("connect to", "the host", "nobody listens");
        auto pair = socket_pair();
        if (!pair) return propagate(pair);
        host = std::move(pair->first);
        return std::move(pair->second);
      },
      [this] { return wire::Hello{.steps = {}, .entries = {}, .uptime_us = ++hellos}; }};
  bool reachable = true;
  std::uint64_t hellos = 0;
  Fd host;
  ControlLink::Clock::time_point now{};

  // What has arrived at the host on the present connection.
  std::vector<wire::GuestControl> heard() {
    EXPECT_TRUE(set_nonblocking(host, true));
    wire::MessageDecoder<wire::GuestControl> decoder;
    auto room = decoder.prepare();
    auto n = ::read(host.get(), room.data(), room.size());
    if (n > 0) decoder.commit(static_cast<std::size_t>(n));
    std::vector<wire::GuestControl> messages;
    while (auto message = decoder.next().value()) messages.push_back(std::move(*message));
    return messages;
  }

  void host_hangs_up() {
    heard();  // closed with something unread, it would be a reset
    host.reset();
    auto received = link.receive(now, [](const wire::HostControl&) {});
    ASSERT_FALSE(received);
    EXPECT_THAT(received.error().message(), HasSubstr("the host closed it"));
    EXPECT_EQ(link.fd(), -1);
  }
};

wire::ServiceEvent event(const std::string& text) {
  return {.name = "service", .text = text};
}

TEST_F(ControlLinkTest, SaysHelloOnEachConnection) {
  ASSERT_TRUE(link.open(now));
  EXPECT_EQ(link.next_open(), std::nullopt);
  auto first = heard();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(std::get<wire::Hello>(first[0]).uptime_us, 1U);
  host_hangs_up();
  ASSERT_TRUE(link.next_open());
  ASSERT_TRUE(link.open(*link.next_open()));
  auto second = heard();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(std::get<wire::Hello>(second[0]).uptime_us, 2U);
}

TEST_F(ControlLinkTest, SaysHelloAnewAtOnceWhenItHasChanged) {
  link.renew(now);  // before there is a connection
  EXPECT_EQ(hellos, 0U);
  ASSERT_TRUE(link.open(now));
  link.renew(now);
  EXPECT_EQ(link.next_open(), std::nullopt);
  link.send(event("later"), now);
  auto messages = heard();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(std::get<wire::Hello>(messages[0]).uptime_us, 2U);
  reachable = false;
  link.renew(now);
  EXPECT_GT(link.next_open(), now);
}

TEST_F(ControlLinkTest, TellsWhatHappenedMeanwhileAndNoOldHeartbeats) {
  ASSERT_TRUE(link.open(now));
  host_hangs_up();
  link.send(event("ended"), now);
  link.send(wire::Heartbeat{1}, now);
  link.send(event("started"), now);
  ASSERT_TRUE(link.open(now));
  auto messages = heard();
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[1], wire::GuestControl(event("ended")));
  EXPECT_EQ(messages[2], wire::GuestControl(event("started")));
}

TEST_F(ControlLinkTest, KeepsTheLastOfManyEvents) {
  for (std::size_t i = 0; i < ControlLink::kMostWaiting + 10; ++i)
    link.send(event(std::to_string(i)), now);
  ASSERT_TRUE(link.open(now));
  auto messages = heard();
  ASSERT_EQ(messages.size(), 1 + ControlLink::kMostWaiting);
  EXPECT_EQ(messages[1], wire::GuestControl(event("10")));
}

TEST_F(ControlLinkTest, BacksOffWhileNobodyListens) {
  ASSERT_TRUE(link.open(now));
  host_hangs_up();
  reachable = false;
  std::vector<long> delays;
  for (int i = 0; i < 8; ++i) {
    now = link.next_open().value();
    EXPECT_FALSE(link.open(now));
    delays.push_back(std::chrono::duration_cast<milliseconds>(*link.next_open() - now).count());
  }
  EXPECT_THAT(delays, ::testing::ElementsAre(200, 400, 800, 1600, 3200, 5000, 5000, 5000));
  reachable = true;
  ASSERT_TRUE(link.open(now));
  now += ControlLink::kWellAfter;
  host_hangs_up();
  EXPECT_EQ(*link.next_open() - now, ControlLink::kFirstDelay);
}

TEST_F(ControlLinkTest, AHostThatDoesNotReadLosesTheConnectionAndNoEvent) {
  ASSERT_TRUE(link.open(now));
  int sent = 0;
  while (link.fd() >= 0 && sent < 100'000) link.send(event(std::to_string(sent++)), now);
  ASSERT_EQ(link.fd(), -1);
  ASSERT_TRUE(link.open(now));
  auto messages = heard();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[1], wire::GuestControl(event(std::to_string(sent - 1))));
}

}  // namespace
}  // namespace capsem::guest::init
