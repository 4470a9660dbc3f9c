// The agent as a service: a listening socket handed over by PID 1, many connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <vector>

#include "guest/pty-agent/pty_agent.h"
#include "tests/guest/pty-agent/agent_service.h"
#include "tests/guest/pty-agent/host_peer.h"

namespace capsem::guest::pty_agent {
namespace {

using ::testing::HasSubstr;

class AgentService : public ::testing::Test {
 protected:
  void start() { agent_.start(); }
  void stop() { agent_.stop(); }
  HostPeer connect() { return HostPeer(agent_.connect()); }

  AgentProcess agent_;
};

TEST_F(AgentService, ServesAConnectionMadeBeforeItRan) {
  auto host = connect();
  host.start("exit 5");
  start();
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{.code = 5}));
}

TEST_F(AgentService, SessionsOutliveARestartAndNewOnesAreServed) {
  start();
  auto before = connect();
  before.start("echo ready; read line; exit 6");
  ASSERT_TRUE(before.wait_for<wire::Stdout>());
  stop();
  auto meanwhile = connect();
  meanwhile.start("exit 7");
  start();
  EXPECT_EQ(meanwhile.wait_for<wire::Exited>(), (wire::Exited{.code = 7}));
  before.send(wire::Stdin{"\n"});
  EXPECT_EQ(before.wait_for<wire::Exited>(), (wire::Exited{.code = 6}));
}

// Each request comes by way of a process that ends at once, while others do.
TEST_F(AgentService, AnswersEveryRequestForTheListHoweverManyComeAtOnce) {
  start();
  constexpr int kRounds = 60;
  constexpr int kAtOnce = 16;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<HostPeer> hosts;
    for (int i = 0; i < kAtOnce; ++i) hosts.push_back(connect());
    for (auto& host : hosts) host.send(wire::SessionList{});
    for (auto& host : hosts) ASSERT_TRUE(host.wait_for<wire::Sessions>()) << round;
  }
}

// PID 1 starts it again then; otherwise it would take all of a processor.
TEST_F(AgentService, EndsWhenItCannotWaitAnyMore) {
  start();
  auto host = connect();
  host.start("exit 5");
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{.code = 5}));
  // poll(2): EINVAL for more descriptors than the limit.
  rlimit limit{};
  ASSERT_EQ(::prlimit(agent_.pid(), RLIMIT_NOFILE, nullptr, &limit), 0);
  limit.rlim_cur = 0;
  ASSERT_EQ(::prlimit(agent_.pid(), RLIMIT_NOFILE, &limit, nullptr), 0);
  auto next = connect();  // wakes it
  EXPECT_EQ(agent_.exit_status(), 1);
}

TEST_F(AgentService, OneSessionTooManyIsRefusedInWordsAndRoomIsFoundAgain) {
  start();
  std::vector<HostPeer> hosts;
  for (std::size_t i = 0; i < kMaxSessions; ++i) hosts.push_back(connect());
  auto refused = connect().wait_for<wire::Failed>();
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->text, HasSubstr("256 sessions are running in this guest already"));

  hosts.clear();
  // The ended ones are counted when they are reaped, which takes a moment.
  for (;;) {
    auto host = connect();
    host.start("exit 3");
    auto answer = host.receive();
    ASSERT_TRUE(answer);
    if (std::holds_alternative<wire::Failed>(*answer)) continue;
    EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{.code = 3}));
    break;
  }
}

TEST(AgentServiceStart, WithoutASocketItSaysWhatIsMissing) {
  ::unsetenv("LISTEN_FDS");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run(0, nullptr), 1);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("LISTEN_FDS=1 is not set for this process; start this program from a "
                        "supervisor that passes the socket as descriptor 3"));
}

}  // namespace
}  // namespace capsem::guest::pty_agent
