// The host's end of port 5004, with a test at the guest's end of a socket pair.
#include "host/lifecycle/lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <vector>

#include "async/socket_stream.h"
#include "async/task_group.h"
#include "base/fd.h"
#include "tests/async/loop.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using wire::LifecycleAction;
using wire::LifecycleRequest;
using wire::ShutdownAction;

struct Ended {
  ShutdownAction action;
  std::chrono::milliseconds grace;
  bool operator==(const Ended&) const = default;
};

class LifecycleTest : public ::testing::Test {
 protected:
  LifecycleTest() { tasks.spawn(lifecycle.run()); }
  ~LifecycleTest() override {
    tasks.cancel();
    loop.spawn(tasks.join());
    loop.run();
  }

  // A connection that sends `bytes`: the guest's end.
  Fd connect(std::string_view bytes) {
    auto pair = socket_pair();
    tasks.spawn(lifecycle.serve(
        async::SocketStream::create(loop.executor(), std::move(pair->first)).value()));
    EXPECT_TRUE(write_full(pair->second, as_bytes(bytes), "guest"));
    return std::move(pair->second);
  }

  wire::LifecycleAnswer ask(const LifecycleRequest& request) {
    auto guest = connect(*wire::encode<wire::GuestLifecycle>(request));
    wire::MessageDecoder<wire::HostLifecycle> decoder;
    std::optional<wire::LifecycleAnswer> answer;
    loop.run_until([&] {
      auto room = decoder.prepare();
      auto size = ::recv(guest.get(), room.data(), room.size(), MSG_DONTWAIT);
      if (size > 0) decoder.commit(static_cast<std::size_t>(size));
      if (auto message = decoder.next(); message && *message)
        answer = std::get<wire::LifecycleAnswer>(**message);
      return answer.has_value();
    });
    return *answer;
  }

  async::Loop loop;
  std::vector<Ended> ends;
  std::vector<std::string> told;
  Lifecycle lifecycle{
      loop.executor(),
      {.end = [this](ShutdownAction action,
                     std::chrono::milliseconds grace) { ends.push_back({action, grace}); },
       .tell = [this](std::string text) { told.push_back(std::move(text)); }}};
  async::TaskGroup tasks{loop.executor()};
};

TEST_F(LifecycleTest, AnEndNowIsCarriedOutAtOnce) {
  EXPECT_TRUE(ask({.action = LifecycleAction::kPoweroff, .grace_ms = 7}).accepted);
  EXPECT_TRUE(ask({.action = LifecycleAction::kReboot}).accepted);
  EXPECT_THAT(ends, ElementsAre(Ended{ShutdownAction::kPoweroff, std::chrono::milliseconds(7)},
                                Ended{ShutdownAction::kReboot, std::chrono::milliseconds(0)}));
  EXPECT_THAT(told, IsEmpty());
}

TEST_F(LifecycleTest, ALaterEndIsKeptToldOfAndCarriedOut) {
  auto answer = ask({.action = LifecycleAction::kReboot,
                     .delay_ms = 100,
                     .grace_ms = 3,
                     .message = "back\x1b soon"});
  EXPECT_TRUE(answer.accepted);
  EXPECT_EQ(answer.text, "the guest is rebooted in 1 s");
  EXPECT_THAT(told, ElementsAre("the guest is rebooted in 1 s: back\\x1b soon"));
  EXPECT_THAT(ends, IsEmpty());
  loop.run_until([&] { return !ends.empty(); });
  EXPECT_THAT(ends, ElementsAre(Ended{ShutdownAction::kReboot, std::chrono::milliseconds(3)}));
  EXPECT_EQ(ask({.action = LifecycleAction::kShow}).text, "no shutdown is pending");
}

TEST_F(LifecycleTest, OneIsPendingAtATime) {
  ask({.action = LifecycleAction::kReboot, .delay_ms = 150});
  EXPECT_TRUE(ask({.action = LifecycleAction::kPoweroff, .delay_ms = 5'460'000}).accepted);
  EXPECT_EQ(ask({.action = LifecycleAction::kShow}).text,
            "the guest is switched off in 1 h 31 min");
  loop.context().run_for(std::chrono::milliseconds(300));
  EXPECT_THAT(ends, IsEmpty());
}

TEST_F(LifecycleTest, WhatIsPendingCanBeCancelled) {
  EXPECT_EQ(ask({.action = LifecycleAction::kCancel}).text, "no shutdown is pending");
  EXPECT_THAT(told, IsEmpty());
  ask({.action = LifecycleAction::kPoweroff, .delay_ms = 150});
  EXPECT_TRUE(ask({.action = LifecycleAction::kCancel}).accepted);
  loop.context().run_for(std::chrono::milliseconds(300));
  EXPECT_THAT(ends, IsEmpty());
  EXPECT_THAT(told.back(), HasSubstr("cancelled"));
}

TEST_F(LifecycleTest, RefusesWithAReason) {
  auto suspend = ask({.action = LifecycleAction::kSuspend});
  EXPECT_FALSE(suspend.accepted);
  EXPECT_EQ(suspend.text, "this host cannot suspend a VM yet");
  EXPECT_FALSE(ask({.delay_ms = ~std::uint64_t{0}}).accepted);
  EXPECT_FALSE(ask({.delay_ms = 367ULL * 24 * 3600 * 1000}).accepted);
  EXPECT_FALSE(ask({.grace_ms = 3'600'001}).accepted);
  EXPECT_THAT(ends, IsEmpty());
  EXPECT_EQ(ask({.action = LifecycleAction::kShow}).text, "no shutdown is pending");
}

TEST_F(LifecycleTest, HangsUpOnWhatIsNoRequest) {
  for (std::string bytes : {std::string("\xff\xff\xff\xff", 4), std::string("\0\0\0\0", 4),
                            std::string("\x02\0\0\0\x12\0", 6)}) {
    auto guest = connect(bytes);
    char byte = 0;
    loop.run_until([&] {
      auto size = ::recv(guest.get(), &byte, 1, MSG_DONTWAIT);
      return size == 0 || (size < 0 && errno != EAGAIN);
    });
  }
  EXPECT_THAT(ends, IsEmpty());
}

}  // namespace
}  // namespace capsem::host
