#include "host/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/fd.h"
#include "tests/host/fake_machine.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/ports.h"

namespace capsem::host {
namespace {

using api::State;
using ::testing::HasSubstr;

class MonitorTest : public ::testing::Test {
 protected:
  void start(const MonitorOptions& options = {}) {
    auto made = std::make_unique<FakeMachine>(loop);
    machine = made.get();
    monitor = std::make_unique<Monitor>(loop.executor(), std::move(made), options);
    prepare(*machine);
    loop.spawn(monitor->run());
    loop.poll();
  }
  virtual void prepare(FakeMachine&) {}

  static Task<> send(async::Stream& stream, std::string frame) {
    auto sent = co_await stream.write_all(as_bytes(frame));
    EXPECT_TRUE(sent);
  }
  void say(async::Stream& stream, const wire::GuestControl& message) {
    loop.spawn(send(stream, *wire::encode(message)));
  }
  // The guest has booted and is configured.
  void say_hello(async::Stream& control) {
    wire::Hello hello;
    hello.kernel_release = "6.1";
    loop.spawn(send(control, *wire::encode<wire::GuestControl>(hello) +
                                 *wire::encode<wire::GuestControl>(wire::Heartbeat{})));
  }
  // The guest boots: PID 1 connects and says hello.
  std::unique_ptr<async::Stream> boot() {
    auto control = machine->connect_from_guest(wire::kControlPort.number);
    say_hello(*control);
    loop.run_until([&] { return monitor->vm().state == State::kRunning; });
    return control;
  }
  // The next `count` messages of the host on the control connection.
  std::vector<wire::HostControl> hear(async::Stream& control, std::size_t count) {
    std::vector<wire::HostControl> heard;
    bool done = false;
    loop.spawn([](async::Stream& from, std::size_t wanted, auto& into, bool& end) -> Task<> {
      wire::MessageDecoder<wire::HostControl> decoder;
      while (into.size() < wanted) {
        auto message = decoder.next();
        EXPECT_TRUE(message);
        if (*message) {
          into.push_back(**message);
          continue;
        }
        auto size = co_await from.read_some(decoder.prepare());
        if (!size || *size == 0) break;
        decoder.commit(*size);
      }
      end = true;
    }(control, count, heard, done));
    loop.run_until([&] { return done; });
    return heard;
  }
  void run_to_end() {
    loop.run_until([&] { return monitor->vm().state == State::kEnded; });
    loop.run();
  }

  async::Loop loop;
  std::unique_ptr<Monitor> monitor;
  FakeMachine* machine = nullptr;
};

TEST_F(MonitorTest, GoesThroughItsStatesInTurn) {
  start();
  EXPECT_EQ(monitor->vm().state, State::kStarting);
  auto control = boot();
  EXPECT_EQ(monitor->vm().guest->kernel_release, "6.1");
  monitor->stop();
  EXPECT_EQ(monitor->vm().state, State::kStopping);
  run_to_end();
  EXPECT_TRUE(machine->end_was_asked);
  EXPECT_EQ(monitor->vm().end->kind, api::EndKind::kStopped);
  std::vector<std::string> states;
  for (const auto& event : monitor->events().after(0)) states.push_back(event.text);
  EXPECT_THAT(states, ::testing::ElementsAre("starting", "running", "stopping", "ended"));
}

TEST_F(MonitorTest, AnOrderlyEndIsTheGuestsToCarryOutWithinItsGrace) {
  start();
  auto control = boot();
  monitor->shut_down(std::chrono::seconds(30));
  EXPECT_EQ(monitor->vm().state, State::kStopping);
  auto heard = hear(*control, 2);
  ASSERT_EQ(heard.size(), 2U);
  auto* shutdown = std::get_if<wire::Shutdown>(&heard.back());
  ASSERT_TRUE(shutdown);
  EXPECT_EQ(shutdown->action, wire::ShutdownAction::kPoweroff);
  EXPECT_LE(shutdown->grace_ms, 30'000U);
  EXPECT_GT(shutdown->grace_ms, 20'000U);
  loop.poll();
  EXPECT_FALSE(machine->end_was_asked);
  machine->observer().on_shutdown("guest-shutdown");
  machine->exit();
  run_to_end();
  EXPECT_EQ(monitor->vm().end->kind, api::EndKind::kStopped);
}

TEST_F(MonitorTest, AGuestThatDoesNotEndInOrderIsEndedByForce) {
  using std::chrono::milliseconds;
  start({.shutdown_limit = milliseconds(100)});
  auto control = boot();
  auto asked = std::chrono::steady_clock::now();
  monitor->shut_down(milliseconds(100));
  run_to_end();
  EXPECT_GE(std::chrono::steady_clock::now() - asked, milliseconds(200));
  EXPECT_TRUE(machine->end_was_asked);
  EXPECT_EQ(monitor->vm().end->kind, api::EndKind::kStopped);
}

TEST_F(MonitorTest, OfTwoOrderlyEndsTheEarlierCounts) {
  using std::chrono::milliseconds;
  start({.shutdown_limit = milliseconds(0)});
  auto control = boot();
  monitor->shut_down(std::chrono::seconds(1000));
  hear(*control, 2);
  monitor->shut_down(std::chrono::seconds(2000));  // changes nothing
  loop.poll();
  monitor->shut_down(milliseconds(50));
  auto heard = hear(*control, 1);
  EXPECT_LE(std::get<wire::Shutdown>(heard.at(0)).grace_ms, 50U);
  run_to_end();
  std::vector<std::string> states;
  for (const auto& event : monitor->events().after(0)) states.push_back(event.text);
  EXPECT_THAT(states, ::testing::ElementsAre("starting", "running", "stopping", "ended"));
}

TEST_F(MonitorTest, AVmThatHasNotBootedIsEndedAtOnce) {
  start();
  monitor->shut_down(std::chrono::seconds(1000));
  run_to_end();
  EXPECT_TRUE(machine->end_was_asked);
  EXPECT_EQ(monitor->vm().end->kind, api::EndKind::kStopped);
}

TEST_F(MonitorTest, AnEndAtOnceCutsAnOrderlyOneShort) {
  start();
  auto control = boot();
  monitor->shut_down(std::chrono::seconds(1000));
  loop.poll();
  monitor->stop();
  run_to_end();
  EXPECT_TRUE(machine->end_was_asked);
}

TEST_F(MonitorTest, TheGuestMayAskForItsEnd) {
  for (auto [action, kind] :
       {std::pair{wire::LifecycleAction::kPoweroff, api::EndKind::kPoweredOff},
        std::pair{wire::LifecycleAction::kReboot, api::EndKind::kRebooted}}) {
    start({.shutdown_limit = std::chrono::milliseconds(0)});
    EXPECT_EQ(machine->callers.at(wire::kLifecyclePort.number), Callers::kRoot);
    auto control = boot();
    auto lifecycle = machine->connect_from_guest(wire::kLifecyclePort.number);
    const wire::LifecycleRequest request{.action = action, .grace_ms = 10};
    loop.spawn(send(*lifecycle, *wire::encode<wire::GuestLifecycle>(request)));
    auto heard = hear(*control, 2);
    ASSERT_EQ(heard.size(), 2U);
    EXPECT_EQ(std::get<wire::Shutdown>(heard.back()).action == wire::ShutdownAction::kReboot,
              kind == api::EndKind::kRebooted);
    // It does not end by itself, so that nobody says how it ended.
    run_to_end();
    EXPECT_EQ(monitor->vm().end->kind, kind);
    EXPECT_FALSE(monitor->vm().end->error);
  }
}

TEST_F(MonitorTest, PidOneIsAskedAgainOnItsNextConnection) {
  start();
  auto control = boot();
  monitor->shut_down(std::chrono::seconds(1000));
  hear(*control, 2);
  control->reset();
  loop.poll();
  auto again = machine->connect_from_guest(wire::kControlPort.number);
  say(*again, wire::Hello{});
  auto heard = hear(*again, 2);
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<wire::Shutdown>(heard.back()));
  monitor->stop();
  run_to_end();
}

TEST_F(MonitorTest, ASilentGuestIsToldOfButNotAfterTheMonitorItselfWasStopped) {
  using std::chrono::milliseconds;
  start({.heartbeat_check = milliseconds(50), .silence = milliseconds(200)});
  auto control = boot();
  loop.poll();                                     // the watch begins
  std::this_thread::sleep_for(milliseconds(500));  // nothing of this process runs
  auto warned = [&] {
    return std::ranges::any_of(monitor->events().after(0), [](const api::Event& event) {
      return event.kind == api::EventKind::kWarning && event.text.contains("not heard of");
    });
  };
  loop.poll();
  EXPECT_FALSE(warned());
  auto heard = std::chrono::steady_clock::now();
  say(*control, wire::Heartbeat{});
  loop.run_until(warned);
  EXPECT_GE(std::chrono::steady_clock::now() - heard, milliseconds(200));
  monitor->stop();
  run_to_end();
}

TEST_F(MonitorTest, AGuestThatWaitsForRoomOnTheHostIsToldOfAndNotTakenForAHangingOne) {
  using std::chrono::milliseconds;
  start({.heartbeat_check = milliseconds(20), .silence = milliseconds(40)});
  auto control = boot();
  auto warnings = [&] {
    std::vector<std::string> texts;
    for (const auto& event : monitor->events().after(0))
      if (event.kind == api::EventKind::kWarning) texts.push_back(event.text);
    return texts;
  };
  machine->observer().on_disk_full(true);
  auto end = std::chrono::steady_clock::now() + milliseconds(300);
  loop.run_until([&] { return std::chrono::steady_clock::now() > end; });
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("the host's disk is full")));
  machine->observer().on_disk_full(false);
  loop.run_until([&] { return warnings().size() == 3; });
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("full"), HasSubstr("the VM goes on"),
                                      HasSubstr("not heard of")));
  monitor->stop();
  run_to_end();
}

TEST_F(MonitorTest, WhoeverWaitsForAStateGoesOnWhenALaterOneComes) {
  start();
  bool reached = false;
  loop.spawn([](Monitor& of, bool& done) -> Task<> {
    co_await of.reached(State::kRunning);
    done = true;
  }(*monitor, reached));
  machine->exit();
  run_to_end();
  EXPECT_TRUE(reached);
}

TEST_F(MonitorTest, ABootThatTakesTooLongEndsWithTheConsoleBesideTheReason) {
  start({.boot_limit = std::chrono::milliseconds(20)});
  machine->console = {"Linux version 6.1", "stuck"};
  run_to_end();
  ASSERT_TRUE(monitor->vm().end->error);
  EXPECT_EQ(monitor->vm().end->error->kind(), ErrorKind::kTimeout);
  EXPECT_EQ(monitor->failure(*monitor->vm().end->error).console, machine->console);
}

TEST_F(MonitorTest, ASessionIsOpenedOnceTheGuestHasBooted) {
  start();
  std::optional<Result<std::unique_ptr<async::Stream>>> session;
  loop.spawn([](Monitor& of, auto& into) -> Task<> {
    into = co_await of.open(wire::kSessionPort, "a session");
  }(*monitor, session));
  loop.context().poll();
  EXPECT_FALSE(session);
  auto control = boot();
  loop.run_until([&] { return session.has_value(); });
  EXPECT_TRUE(*session);
  monitor->stop();
  run_to_end();
}

TEST_F(MonitorTest, ASessionOfAVmThatDoesNotBootLearnsWhy) {
  start();
  std::optional<Result<std::unique_ptr<async::Stream>>> session;
  loop.spawn([](Monitor& of, auto& into) -> Task<> {
    into = co_await of.open(wire::kSessionPort, "a session");
  }(*monitor, session));
  loop.context().poll();
  machine->observer().on_console_line("[ 0.9] Kernel panic - not syncing: no init");
  run_to_end();
  ASSERT_TRUE(session);
  ASSERT_FALSE(*session);
  EXPECT_THAT(session->error().message(), HasSubstr("no init"));
}

TEST_F(MonitorTest, TheDevicesEndIsTheReasonOfTheVmsEnd) {
  start();
  auto control = boot();
  machine->observer().on_device_end(Error("serve", "the vsock device", "message 99 is not known"));
  machine->exit_error = Error("run", "QEMU", "it ended with exit status 1");
  run_to_end();
  EXPECT_THAT(monitor->vm().end->error->message(), HasSubstr("message 99"));
}

TEST_F(MonitorTest, AFloodOfServiceEventsIsBounded) {
  start();
  auto control = boot();
  wire::ServiceEvent event{.name = "evil", .text = std::string(2000, 'x')};
  std::string frames;
  for (int i = 0; i < 500; ++i) frames += *wire::encode<wire::GuestControl>(event);
  bool sent = false;
  loop.spawn([](async::Stream& to, std::string text, bool& done) -> Task<> {
    co_await send(to, std::move(text));
    done = true;
  }(*control, std::move(frames), sent));
  loop.run_until([&] { return sent; });
  // What lies in the socket is read, too.
  loop.context().run_for(std::chrono::milliseconds(200));
  auto kept = monitor->events().after(0);
  EXPECT_GE(kept.size(), Events::kGuestBurst);
  EXPECT_LE(kept.size(), Events::kGuestBurst + 16);
  for (const auto& each : kept) EXPECT_LE(each.text.size(), Events::kMaxTextBytes);
  monitor->stop();
  run_to_end();
}

TEST_F(MonitorTest, PidOneMayConnectAgain) {
  start();
  auto control = boot();
  control->reset();
  std::unique_ptr<async::Stream> again;
  loop.run_until([&] {
    again = machine->connect_from_guest(wire::kControlPort.number);
    return again != nullptr;
  });
  ASSERT_TRUE(again);
  const std::vector entries = {DeployedEntry{.name = "changed"}};
  say(*again, wire::Hello{.entries = entries});
  wire::ServiceEvent event{.name = "net", .text = "restarted"};
  say(*again, event);
  loop.run_until([&] { return monitor->events().after(0).back().text.ends_with("restarted"); });
  EXPECT_EQ(monitor->vm().state, State::kRunning);
  EXPECT_EQ(monitor->vm().guest->entries, entries);
  monitor->stop();
  run_to_end();
}

TEST_F(MonitorTest, OfTwoControlConnectionsAtOnceTheFirstIsServedAndTheSecondRefused) {
  start();
  // The event loop does not run between the two.
  auto control = machine->connect_from_guest(wire::kControlPort.number);
  const auto second = machine->connect_from_guest(wire::kControlPort.number);
  ASSERT_TRUE(control);
  say_hello(*control);
  loop.run_until([&] { return monitor->vm().state == State::kRunning; });
  EXPECT_EQ(monitor->vm().guest->kernel_release, "6.1");
  EXPECT_EQ(second, nullptr);
  const auto third = machine->connect_from_guest(wire::kControlPort.number);
  EXPECT_EQ(third, nullptr);
  wire::ServiceEvent event{.name = "net", .text = "restarted"};
  say(*control, event);
  loop.run_until([&] { return monitor->events().after(0).back().text.ends_with("restarted"); });
  EXPECT_EQ(monitor->vm().state, State::kRunning);
  monitor->stop();
  run_to_end();
}

class FailedStart : public MonitorTest {
 protected:
  void prepare(FakeMachine& made) override {
    made.start_error = Error("start", "qemu", "there is none", "install it", ErrorKind::kNotFound);
  }
};

TEST_F(FailedStart, IsTheReasonOfTheEnd) {
  start();
  run_to_end();
  EXPECT_EQ(monitor->vm().end->kind, api::EndKind::kFailed);
  EXPECT_EQ(monitor->vm().end->error->kind(), ErrorKind::kNotFound);
}

}  // namespace
}  // namespace capsem::host
