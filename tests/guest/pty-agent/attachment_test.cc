// Sessions that go on when their host has left them, and are shown to another one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <thread>
#include <vector>

#include "base/file.h"
#include "guest/pty-agent/last_output.h"
#include "tests/guest/pty-agent/agent_service.h"
#include "tests/guest/pty-agent/host_peer.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::pty_agent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint32_t kShort = 100;
constexpr std::uint32_t kLong = 300'000;

void wait_until_exists(const std::filesystem::path& path) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!std::filesystem::exists(path)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

class Attachments : public ::testing::Test {
 protected:
  void SetUp() override { agent_.start(); }

  HostPeer connect() { return HostPeer(agent_.connect()); }

  HostPeer start(std::string line, std::uint32_t outlive_ms = kLong, std::string id = "session-1") {
    auto host = connect();
    host.send(wire::SessionStart{.command_line = std::move(line),
                                 .terminal = wire::TerminalSize{24, 80},
                                 .id = std::move(id),
                                 .outlive_ms = outlive_ms,
                                 .detachable = true});
    EXPECT_TRUE(host.wait_for<wire::Started>());
    return host;
  }
  HostPeer attach(wire::TerminalSize size = {24, 80}) {
    auto host = connect();
    host.send(wire::SessionAttach{.id = "session-1", .terminal = size});
    return host;
  }
  std::vector<wire::RunningSession> list() {
    auto host = connect();
    host.send(wire::SessionList{});
    auto answer = host.wait_for<wire::Sessions>();
    EXPECT_TRUE(answer);
    return answer ? answer->sessions : std::vector<wire::RunningSession>();
  }
  void wait_until_attached_is(bool attached) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (;;) {
      auto sessions = list();
      if (sessions.size() == 1 && sessions.front().attached == attached) return;
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  // The host's output up to `end`.
  static std::string output(HostPeer& host, std::string_view end) {
    std::string text;
    while (text.find(end) == std::string::npos) {
      auto piece = host.wait_for<wire::Stdout>();
      if (!piece) break;
      text += piece->data;
    }
    return text;
  }

  AgentProcess agent_;
};

TEST_F(Attachments, ADetachedSessionIsShownAgainAndGoesOn) {
  {
    auto host = start("echo before; read line; echo \"got $line\"; exit 7");
    output(host, "before\r\n");
    host.send(wire::Detach{});
    EXPECT_EQ(host.receive(), std::nullopt);
  }
  auto host = attach();
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::Attached{.attachment = 2}));
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::Stdout{"before\r\n"}));
  host.send(wire::Stdin{"typed\n"});
  EXPECT_THAT(output(host, "got typed\r\n"), HasSubstr("got typed\r\n"));
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{.code = 7}));
}

TEST_F(Attachments, TheCommandIsNotHeldBackWhileNobodyIsThere) {
  testing::TemporaryDirectory directory;
  auto written = directory / "written";
  start("seq 1 1000000; echo the end; touch " + written.string() + "; exec sleep 1000")
      .send(wire::Detach{});
  wait_until_exists(written);
  auto host = attach();
  ASSERT_TRUE(host.wait_for<wire::Attached>());
  auto shown = host.wait_for<wire::Stdout>();
  ASSERT_TRUE(shown);
  EXPECT_LE(shown->data.size(), kLastOutputBytes);
  EXPECT_THAT(shown->data, HasSubstr("\r\n999999\r\n1000000\r\n"));
}

// As far as the agent's writing shows it, the host is gone before its last message was read.
TEST_F(Attachments, AHostThatDetachesAndGoesAtOnceHasDetached) {
  testing::TemporaryDirectory directory;
  auto begun = directory / "begun";
  auto written = directory / "written";
  auto host = start("echo $PPID >" + (directory / "server").string() + "; touch " + begun.string() +
                    "; seq 1 1000000; touch " + written.string() + "; exec sleep 1000");
  wait_until_exists(begun);
  auto server = std::stoi(read_file(directory / "server", 100).value());
  ::kill(server, SIGSTOP);
  // More than the agent reads at once.
  for (int i = 0; i < 2; ++i) host.send(wire::Stdin{std::string(wire::kDataBytes, 'x')});
  host.send(wire::Detach{});
  host.close();
  ::kill(server, SIGCONT);
  wait_until_exists(written);
  EXPECT_FALSE(list().front().attached);
}

TEST_F(Attachments, ALostHostHoldsTheCommandBackForItsTimeOnly) {
  testing::TemporaryDirectory directory;
  auto written = directory / "written";
  start("seq 1 1000000; touch " + written.string() + "; exec sleep 1000", kShort).close();
  wait_until_exists(written);
  auto late = connect();
  late.send(wire::SessionResume{.id = "session-1", .received = 1});
  auto refused = late.wait_for<wire::Failed>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->shell_code, wire::kNoSuchSession);
  EXPECT_THAT(refused->text, HasSubstr("detached or attached elsewhere"));
  EXPECT_TRUE(attach().wait_for<wire::Attached>());
}

TEST_F(Attachments, TheHostThatIsThereIsTold) {
  auto first = start("echo here; read line; exit 5");
  output(first, "here\r\n");
  auto second = attach();
  EXPECT_EQ(second.receive(), wire::GuestSession(wire::Attached{.attachment = 1}));
  EXPECT_TRUE(first.wait_for<wire::TakenOver>());
  EXPECT_EQ(first.receive(), std::nullopt);
  // It cannot come back with what it knows.
  auto late = connect();
  late.send(wire::SessionResume{.id = "session-1", .received = 2});
  EXPECT_TRUE(late.wait_for<wire::Failed>());
  second.send(wire::Stdin{"\n"});
  EXPECT_EQ(second.wait_for<wire::Exited>(), (wire::Exited{.code = 5}));
}

TEST_F(Attachments, TheOneWhoAttachedMayResume) {
  start("echo here; read line; exit 5").send(wire::Detach{});
  std::optional<wire::Attached> attached;
  {
    auto host = attach();
    attached = host.wait_for<wire::Attached>();
    ASSERT_TRUE(attached);
    output(host, "here\r\n");
  }
  wait_until_attached_is(false);
  auto host = connect();
  host.send(
      wire::SessionResume{.id = "session-1", .received = 1, .attachment = attached->attachment});
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::Resumed{0}));
  host.send(wire::Stdin{"\n"});
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{.code = 5}));
}

TEST_F(Attachments, TheNewWindowsSizeReachesTheCommandAlsoWhenItIsTheSame) {
  // Not in the trap itself: bash loses a signal that comes while one runs.
  auto first = start(
      "trap w=1 WINCH; echo ready; while :; do sleep 0.01; [ $w ] && { w=; stty size; }; done");
  output(first, "ready");
  first.send(wire::Detach{});
  for (auto size : {wire::TerminalSize{24, 80}, wire::TerminalSize{11, 222}}) {
    auto host = attach(size);
    auto expected = std::to_string(size.rows) + " " + std::to_string(size.columns) + "\r\n";
    EXPECT_THAT(output(host, expected), HasSubstr(expected));
  }
}

TEST_F(Attachments, InputThatTheCommandHasNotReadCountsForTheNextHost) {
  std::string some(60'000, 'x');
  auto first = start("stty raw -echo; echo ready; exec sleep 1000");
  output(first, "ready");
  first.send(wire::Stdin{some});
  std::uint64_t granted = 0;
  first.send(wire::Detach{});
  while (auto message = first.receive())
    if (auto* credit = std::get_if<wire::StdinCredit>(&*message)) granted += credit->bytes;
  auto second = attach();
  auto attached = second.wait_for<wire::Attached>();
  ASSERT_TRUE(attached);
  EXPECT_EQ(attached->unread_bytes, some.size() - granted);
  EXPECT_GT(attached->unread_bytes, 0U);
}

TEST_F(Attachments, AreListed) {
  EXPECT_TRUE(list().empty());
  auto host = start("read line; " + std::string(1000, ' '));
  start("exec sleep 1000", kLong, "session-2").send(wire::Detach{});
  auto pipes = connect();
  pipes.send(wire::SessionStart{.command_line = "sleep 1000", .id = "pipes", .outlive_ms = kLong});
  ASSERT_TRUE(pipes.wait_for<wire::Started>());
  std::vector<wire::RunningSession> sessions;
  for (int i = 0; i < 1000 && (sessions.size() != 2 || sessions[1].attached); ++i)
    sessions = list();
  ASSERT_EQ(sessions.size(), 2U);
  std::ranges::sort(sessions, {}, &wire::RunningSession::id);
  EXPECT_EQ(sessions[0].id, "session-1");
  EXPECT_TRUE(sessions[0].attached);
  EXPECT_GT(sessions[0].pid, 1U);
  EXPECT_LT(sessions[0].age_s, 60U);
  EXPECT_THAT(sessions[0].command, StartsWith("read line; "));
  EXPECT_EQ(sessions[0].command.size(), wire::kListedCommandBytes);
  EXPECT_EQ(sessions[1].id, "session-2");
  EXPECT_FALSE(sessions[1].attached);
}

TEST_F(Attachments, ASessionThatEndedIsNotThereAnyMore) {
  start("read line; exit 1").send(wire::Detach{});
  wait_until_attached_is(false);
  auto host = attach();
  ASSERT_TRUE(host.wait_for<wire::Attached>());
  host.send(wire::Stdin{"\n"});
  host.send(wire::Detach{});
  for (int i = 0; i < 1000 && !list().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(list().empty());
  auto refused = attach().wait_for<wire::Failed>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->shell_code, 125U);
  EXPECT_THAT(refused->text,
              AllOf(StartsWith("cannot attach to the session: "), HasSubstr("it has ended")));
}

TEST_F(Attachments, OnlyWithATerminalAndATimeToOutlive) {
  for (bool with_terminal : {false, true}) {
    auto host = connect();
    wire::SessionStart start{.command_line = "true", .id = "session-1", .detachable = true};
    if (with_terminal)
      start.terminal = wire::TerminalSize{};
    else
      start.outlive_ms = kLong;
    host.send(start);
    auto refused = host.wait_for<wire::Failed>();
    ASSERT_TRUE(refused);
    EXPECT_THAT(refused->text, HasSubstr("detachable"));
  }
  // Nor can one that is not be left, or attached to.
  auto host = connect();
  host.send(wire::SessionStart{
      .command_line = "exec sleep 1000", .id = "session-1", .outlive_ms = kLong});
  ASSERT_TRUE(host.wait_for<wire::Started>());
  EXPECT_TRUE(attach().wait_for<wire::Failed>());
  host.send(wire::Detach{});
  EXPECT_TRUE(host.wait_for<wire::Failed>());
}

TEST_F(Attachments, ARequestOfAnotherVersionIsAnsweredWithItsOwn) {
  auto host = connect();
  host.send(wire::SessionAttach{.protocol = wire::kProtocol + 1, .id = "session-1"});
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::VersionMismatch{wire::kProtocol}));
  auto other = connect();
  other.send(wire::SessionList{.protocol = wire::kProtocol + 1});
  EXPECT_EQ(other.receive(), wire::GuestSession(wire::VersionMismatch{wire::kProtocol}));
}

}  // namespace
}  // namespace capsem::guest::pty_agent
