// The agent as a service: a listening socket handed over by PID 1, many connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <vector>

#include "guest/pty-agent/pty_agent.h"
#include "tests/guest/pty-agent/host_peer.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::pty_agent {
namespace {

using ::testing::HasSubstr;

class AgentService : public ::testing::Test {
 protected:
  void SetUp() override {
    address_.sun_family = AF_UNIX;
    (directory_ / "socket").string().copy(address_.sun_path, sizeof address_.sun_path - 1);
    listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener_.get(), generic(), sizeof address_), 0);
    ASSERT_EQ(::listen(listener_.get(), 1000), 0);
  }
  void TearDown() override { stop(); }

  void start() {
    agent_ = ::fork();
    if (agent_ != 0) return;
    ::dup2(listener_.get(), 3);
    if (listener_.get() != 3) listener_.reset();
    ::setenv("LISTEN_FDS", "1", 1);
    ::_exit(run(0, nullptr));
  }
  void stop() {
    if (agent_ <= 0) return;
    ::kill(agent_, SIGKILL);
    ::waitpid(std::exchange(agent_, -1), nullptr, 0);
  }

  HostPeer connect() {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), generic(), sizeof address_), 0);
    return HostPeer(std::move(socket));
  }

 private:
  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address_); }

  testing::TemporaryDirectory directory_;
  sockaddr_un address_{};
  Fd listener_;
  pid_t agent_ = -1;
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
