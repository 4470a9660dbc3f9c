// Sessions that outlive their connection.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <filesystem>

#include "tests/guest/pty-agent/agent_service.h"
#include "tests/guest/pty-agent/host_peer.h"

namespace capsem::guest::pty_agent {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kLong = 300'000;

Fd pidfd_of(std::uint32_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

class Resumption : public ::testing::Test {
 protected:
  void SetUp() override { agent_.start(); }

  HostPeer connect() { return HostPeer(agent_.connect()); }

  HostPeer start(std::string line, std::uint32_t outlive_ms = kLong) {
    auto host = connect();
    host.send(wire::SessionStart{
        .command_line = std::move(line), .id = "session-1", .outlive_ms = outlive_ms});
    return host;
  }
  // The command, whose host has gone.
  Fd start_and_leave(std::string line, std::uint32_t outlive_ms = kLong) {
    auto host = start(std::move(line), outlive_ms);
    auto started = take<wire::Started>(host);
    EXPECT_TRUE(started);
    return started ? pidfd_of(started->pid) : Fd();
  }
  HostPeer resume() {
    auto host = connect();
    host.send(wire::SessionResume{.id = "session-1", .received = received_});
    return host;
  }

  // The session's next message of a kind; all count.
  template <class Message>
  std::optional<Message> take(HostPeer& host) {
    while (auto message = host.receive()) {
      ++received_;
      if (auto* wanted = std::get_if<Message>(&*message)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  // All output up to the end of the session, or `bytes` of it at least.
  std::string take_output(HostPeer& host, std::size_t bytes = SIZE_MAX) {
    std::string text;
    while (text.size() < bytes) {
      auto output = take<wire::Stdout>(host);
      if (!output) break;
      text += output->data;
      host.send(wire::Received{received_});
    }
    return text;
  }

  AgentProcess agent_;
  std::uint64_t received_ = 0;
};

bool ends(const Fd& process) {
  pollfd waiting{.fd = process.get(), .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, kTestLimitMilliseconds) == 1;
}

TEST_F(Resumption, GoesOnBehindTheLastMessageThatTheHostHas) {
  std::string expected;
  for (int i = 1; i <= 100'000; ++i) expected += std::to_string(i) + "\n";
  std::string text;
  {
    auto host = start("seq 1 100000; read line; echo \"$line\"; exit 7");
    ASSERT_TRUE(take<wire::Started>(host));
    text += take_output(host, 10'000);
  }  // with most of the output on its way
  auto host = resume();
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::Resumed{0}));
  text += take_output(host, expected.size() - text.size());
  EXPECT_TRUE(text == expected);
  host.send(wire::Stdin{"typed later\n"});
  EXPECT_EQ(take<wire::StdinCredit>(host), wire::StdinCredit{12});
  EXPECT_EQ(take_output(host, 1), "typed later\n");
  EXPECT_EQ(take<wire::Exited>(host), (wire::Exited{.code = 7}));
}

TEST_F(Resumption, SaysWhichMessagesOfTheHostArrived) {
  {
    auto host = start("read a; echo \"$a\"; read b; echo \"$b\"");
    host.send(wire::Stdin{"one\n"});
    ASSERT_TRUE(host.wait_for<wire::Stdout>());
    received_ = 3;  // Started, StdinCredit, Stdout
  }
  auto host = resume();
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::Resumed{1}));
  host.send(wire::Stdin{"two\n"});
  EXPECT_EQ(host.wait_for<wire::Stdout>(), (wire::Stdout{"two\n"}));
}

TEST_F(Resumption, HoldsTheCommandBackWhileNobodyIsThereAndLosesNothing) {
  testing::TemporaryDirectory directory;
  auto written = directory / "written";
  {
    auto host = start("head -c 5000000 /dev/zero; touch " + written.string() + "; sleep 1000");
    ASSERT_TRUE(take<wire::Started>(host));
  }
  // The host's absence is noticed before it is back, or not; the bound is the same.
  auto host = resume();
  ASSERT_TRUE(host.wait_for<wire::Resumed>());
  std::size_t unconfirmed = 0;
  // An agent that did not wait for the host would send more with each of its answers.
  for (int i = 0; i < 100; ++i) {
    host.send(wire::Stdin{"x"});
    for (bool answered = false; !answered;) {
      auto message = host.receive();
      ASSERT_TRUE(message);
      ++received_;
      if (auto* output = std::get_if<wire::Stdout>(&*message)) unconfirmed += output->data.size();
      answered = std::holds_alternative<wire::StdinCredit>(*message);
    }
  }
  EXPECT_LE(unconfirmed, 512U << 10);
  EXPECT_FALSE(std::filesystem::exists(written));
  host.send(wire::Received{received_});
  EXPECT_EQ(take_output(host, 5'000'000 - unconfirmed).size(), 5'000'000 - unconfirmed);
}

TEST_F(Resumption, ASessionIsKeptAfterItsEndUntilTheHostKnowsOfIt) {
  testing::TemporaryDirectory directory;
  auto go = directory / "go";
  Fd process = start_and_leave("until [ -e " + go.string() + " ]; do :; done; exit 9");
  ASSERT_TRUE(open_file(go, O_CREAT | O_WRONLY, 0600));
  ASSERT_TRUE(ends(process));
  // Twice: the first answer may have been lost as well.
  for (int i = 0; i < 2; ++i) {
    auto host = resume();
    EXPECT_TRUE(host.wait_for<wire::Resumed>());
    EXPECT_EQ(host.wait_for<wire::Exited>(), wire::Exited{.code = 9});
  }
  auto host = resume();
  EXPECT_TRUE(host.wait_for<wire::Resumed>());
  EXPECT_TRUE(take<wire::Exited>(host));
  host.send(wire::Received{received_});
  EXPECT_EQ(host.receive(), std::nullopt);
  // Though `host` is open yet, and with it the process that served the session.
  EXPECT_EQ(resume().receive(),
            wire::GuestSession(wire::Failed{wire::kNoSuchSession,
                                            "it has ended, or its agent was started again since"}));
}

TEST_F(Resumption, EndsWhenNobodyComesBack) {
  Fd process = start_and_leave("exec sleep 1000", 200);
  EXPECT_TRUE(ends(process));
}

TEST_F(Resumption, ASessionThatDoesNotOutliveItsConnectionIsNotFound) {
  Fd process = start_and_leave("exec sleep 1000", 0);
  EXPECT_TRUE(ends(process));
  auto refused = resume().wait_for<wire::Failed>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->shell_code, wire::kNoSuchSession);
}

TEST_F(Resumption, AHostThatCountsWronglyIsLeftAndTheSessionStays) {
  {
    auto host = start("echo here; read line; exit 5");
    ASSERT_TRUE(take<wire::Started>(host));
    ASSERT_EQ(take_output(host, 5), "here\n");
  }
  received_ = 1'000;
  EXPECT_EQ(resume().receive(), std::nullopt);
  received_ = 2;
  auto host = resume();
  EXPECT_TRUE(host.wait_for<wire::Resumed>());
  host.send(wire::StdinEnd{});
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{.code = 5}));
}

TEST_F(Resumption, ASecondConnectionTakesTheSessionOver) {
  auto first = start("echo here; read line; exit 5");
  ASSERT_TRUE(take<wire::Started>(first));
  ASSERT_EQ(take_output(first, 5), "here\n");
  auto second = resume();
  EXPECT_TRUE(second.wait_for<wire::Resumed>());
  EXPECT_EQ(first.receive(), std::nullopt);
  second.send(wire::StdinEnd{});
  EXPECT_EQ(second.wait_for<wire::Exited>(), (wire::Exited{.code = 5}));
}

TEST_F(Resumption, AnAgentThatWasRestartedKnowsNoSessionButThoseGoOn) {
  auto before = start("echo here; read line; exit 6");
  ASSERT_TRUE(take<wire::Started>(before));
  ASSERT_EQ(take_output(before, 5), "here\n");
  agent_.stop();
  agent_.start();
  auto refused = resume().wait_for<wire::Failed>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->shell_code, wire::kNoSuchSession);
  before.send(wire::Stdin{"\n"});
  EXPECT_EQ(before.wait_for<wire::Exited>(), (wire::Exited{.code = 6}));
}

TEST_F(Resumption, WithoutAnAgentASessionEndsWithItsConnection) {
  Fd process;
  {
    auto host = start("exec sleep 1000");
    auto started = take<wire::Started>(host);
    ASSERT_TRUE(started);
    process = pidfd_of(started->pid);
    agent_.stop();
  }
  EXPECT_TRUE(ends(process));
}

TEST_F(Resumption, AnIdThatIsNoneIsRefused) {
  auto host = connect();
  host.send(wire::SessionStart{.command_line = "true", .id = "../1", .outlive_ms = 1});
  auto refused = host.wait_for<wire::Failed>();
  ASSERT_TRUE(refused);
  EXPECT_THAT(refused->text, HasSubstr("letters, digits and hyphens"));
  auto other = connect();
  other.send(wire::SessionResume{.id = ""});
  EXPECT_TRUE(other.wait_for<wire::Failed>());
}

TEST_F(Resumption, WithAnotherVersionIsAnsweredWithItsOwn) {
  auto host = connect();
  host.send(wire::SessionResume{.protocol = wire::kProtocol + 1, .id = "session-1"});
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::VersionMismatch{wire::kProtocol}));
}

}  // namespace
}  // namespace capsem::guest::pty_agent
