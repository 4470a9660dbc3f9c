// What the agent promises to a host, and what it does with one that breaks the rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "guest/pty-agent/child.h"
#include "tests/guest/pty-agent/host_peer.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::pty_agent {
namespace {

using ::testing::HasSubstr;

// Whether the process runs or sleeps, and how often it went to sleep (proc(5), /proc/pid/status).
std::string sleep_of(pid_t pid) {
  std::string found;
  auto status = read_file("/proc/" + std::to_string(pid) + "/status", 1 << 16);
  if (!status) return found;
  for (auto line : split(*status, '\n'))
    if (line.starts_with("State:") || line.starts_with("voluntary_ctxt_switches:")) found += line;
  return found;
}

// Waits until the writer and the reader of a pipe both sleep, so that a third has to wake them;
// false when the writer ends before.
bool wait_for_each_other(pid_t writer, pid_t reader) {
  constexpr std::string_view kSleeps = "S (sleeping)";
  auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kTestLimitMilliseconds);
  while (std::chrono::steady_clock::now() < deadline) {
    auto before = sleep_of(writer);
    if (before.empty() || before.contains("Z (zombie)")) return false;
    // The writer slept all the while that the reader was looked at.
    if (before.contains(kSleeps) && sleep_of(reader).contains(kSleeps) &&
        sleep_of(writer) == before)
      return true;
  }
  return false;
}

std::uint64_t granted_by(const wire::GuestSession& message) {
  const auto* credit = std::get_if<wire::StdinCredit>(&message);
  return credit != nullptr ? credit->bytes : 0;
}

TEST(AgentProtocol, SaysStartedThenOutputThenTheEndAndCloses) {
  HostPeer host;
  host.start("echo text");
  auto started = host.receive();
  ASSERT_TRUE(started && std::holds_alternative<wire::Started>(*started));
  EXPECT_EQ(host.wait_for<wire::Stdout>(), (wire::Stdout{"text\n"}));
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{0}));
  EXPECT_EQ(host.receive(), std::nullopt);
}

TEST(AgentProtocol, AnotherVersionIsAnsweredWithItsOwn) {
  HostPeer host;
  host.send(wire::SessionStart{.protocol = wire::kProtocol + 1});
  EXPECT_EQ(host.receive(), wire::GuestSession(wire::VersionMismatch{wire::kProtocol}));
  EXPECT_EQ(host.receive(), std::nullopt);
}

TEST(AgentProtocol, GrantsExactlyTheInputThatTheCommandTook) {
  HostPeer host;
  // Reads 100000 bytes, then no more until it is told to end.
  host.start("head -c 100000 >/dev/null; echo taken; exec sleep 1000");
  for (std::size_t sent = 0; sent < wire::kStdinWindowBytes; sent += wire::kDataBytes)
    host.send(wire::Stdin{std::string(wire::kDataBytes, 'x')});
  std::uint64_t granted = 0;
  bool taken = false;
  while (!taken || granted < 100'000) {
    auto message = host.receive();
    ASSERT_TRUE(message);
    granted += granted_by(*message);
    taken = taken || std::holds_alternative<wire::Stdout>(*message);
  }
  // What is granted beyond that comes before its end: what its pipe holds, never all of it.
  host.send(wire::Signal{SIGTERM});
  auto message = host.receive();
  while (message && !std::holds_alternative<wire::Exited>(*message)) {
    granted += granted_by(*message);
    message = host.receive();
  }
  EXPECT_EQ(message, wire::GuestSession(wire::Exited{.signal = SIGTERM}));
  EXPECT_LT(granted, wire::kStdinWindowBytes);
}

TEST(AgentProtocol, SaysWhenTheCommandReadsNoMore) {
  HostPeer host;
  host.start("exec 0<&-; echo closed; exec sleep 1000");
  EXPECT_TRUE(host.wait_for<wire::StdinClosed>());
  host.send(wire::Stdin{"nobody wants this"});
  host.send(wire::Signal{SIGKILL});
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{.signal = SIGKILL}));
}

TEST(AgentProtocol, EndOfInputOnATerminalIsWhatCtrlDDoes) {
  HostPeer host;
  host.send(wire::SessionStart{.command_line = "cat; echo over",
                               .terminal = wire::TerminalSize{24, 80, 0, 0}});
  host.send(wire::Stdin{"without newline"});
  host.send(wire::StdinEnd{});
  std::string text;
  while (auto output = host.wait_for<wire::Stdout>()) text += output->data;
  EXPECT_THAT(text, HasSubstr("over\r\n"));
}

// Kilobytes: the most memory that the process had at once (proc(5), VmHWM).
long peak_of(pid_t pid) {
  auto status = read_file("/proc/" + std::to_string(pid) + "/status", 1 << 16);
  auto at = status ? status->find("VmHWM:") : std::string::npos;
  return at == std::string::npos ? -1 : std::atol(status->c_str() + at + 6);
}

TEST(AgentProtocol, AHostThatIsAlwaysALittleBehindCostsBoundedMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer holds on to what is freed";
#endif
  HostPeer host;
  host.start("exec cat /dev/zero");
  auto started = host.wait_for<wire::Started>();
  ASSERT_TRUE(started);
  long before = peak_of(host.agent());
  ASSERT_GT(before, 0);
  // Never so much that the agent is through with all that it has.
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(wait_for_each_other(static_cast<pid_t>(started->pid), host.agent()));
    ASSERT_TRUE(host.receive_bytes(128 << 10));
  }
  EXPECT_LT(peak_of(host.agent()) - before, 4 << 10);
}

TEST(AgentProtocol, HoldsBackACommandWhoseOutputIsNotReadAndLosesNothing) {
  testing::TemporaryDirectory directory;
  auto written = (directory / "written").string();
  auto number = (directory / "number").string();
  HostPeer host;
  host.start("(echo $BASHPID >" + number + "; exec head -c 50000000 /dev/zero); touch " + written);
  auto first = host.wait_for<wire::Stdout>();
  ASSERT_TRUE(first);
  EXPECT_TRUE(wait_for_each_other(std::stoi(read_file(number, 100).value()), host.agent()));
  EXPECT_FALSE(std::filesystem::exists(written));
  std::size_t bytes = first->data.size();
  while (auto output = host.wait_for<wire::Stdout>()) bytes += output->data.size();
  EXPECT_EQ(bytes, 50'000'000U);
  EXPECT_TRUE(std::filesystem::exists(written));
}

TEST(AgentProtocol, CommandStartsWithCleanSignalsAndDescriptors) {
  HostPeer host;
  host.start("ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status");
  std::string text;
  while (auto output = host.wait_for<wire::Stdout>()) text += output->data;
  // 3 is the directory that ls itself reads.
  EXPECT_THAT(text, HasSubstr("0 1 2 3 "));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("4 ")));
  EXPECT_THAT(text, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(text, HasSubstr("SigIgn:\t0000000000000000"));
}

// execve(2), "Limits on size of arguments and environment".
constexpr std::size_t kLongestArgument = (128 << 10) - 1;

TEST(AgentProtocol, AnArgumentOfTheGreatestLengthIsTaken) {
  HostPeer host;
  host.start(": " + std::string(kLongestArgument - 2, 'x'));
  EXPECT_EQ(host.wait_for<wire::Exited>(), (wire::Exited{0}));
}

TEST(AgentProtocol, AnArgumentThatIsTooLongIsToldWithSizeAndLimit) {
  HostPeer host;
  host.start(": " + std::string(kLongestArgument - 1, 'x'));
  EXPECT_EQ(host.wait_for<wire::Failed>(),
            (wire::Failed{126,
                          "cannot run /bin/bash in the guest: one of its arguments has 131072 "
                          "bytes, and Linux allows 131071; pass it on standard input or in a "
                          "file"}));
}

TEST(AgentProtocol, AVariableThatIsTooLongIsToldByItsName) {
  HostPeer host;
  host.send(wire::SessionStart{.argv = {"true"},
                               .environment = {{"LONG", std::string(kLongestArgument - 4, 'x')}}});
  EXPECT_EQ(host.wait_for<wire::Failed>(),
            (wire::Failed{126,
                          "cannot run true in the guest: the variable LONG of its environment has "
                          "131072 bytes, and Linux allows 131071"}));
}

TEST(AgentProtocol, ArgumentsThatAreTooLongTogetherAreToldWithSizeAndLimit) {
  rlimit stack{};
  ASSERT_EQ(::getrlimit(RLIMIT_STACK, &stack), 0);
  rlimit usual{.rlim_cur = 8 << 20, .rlim_max = stack.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_STACK, &usual), 0);
  HostPeer host;
  std::vector<std::string> words(300'000);
  words.front() = "true";
  host.send(wire::SessionStart{.argv = std::move(words)});
  ASSERT_EQ(::setrlimit(RLIMIT_STACK, &stack), 0);
  auto failed = host.wait_for<wire::Failed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->shell_code, 126U);
  EXPECT_THAT(failed->text, ::testing::MatchesRegex(
                                "cannot run true in the guest: its arguments and environment have "
                                "2[0-9]{6} bytes, and Linux allows 2097152; pass them on standard "
                                "input or in a file"));
}

struct Breach {
  const char* name;
  std::vector<wire::HostSession> messages;
  const char* says;
};

TEST(AgentProtocol, AHostThatBreaksTheRulesIsToldWhichAndLosesItsSession) {
  const wire::SessionStart start{.command_line = "sleep 1000"};
  const wire::Stdin block{std::string(wire::kDataBytes, 'x')};
  for (const auto& [name, messages, says] : std::vector<Breach>{
           {"no start", {wire::StdinEnd{}}, "first message does not start one"},
           {"two starts", {start, start}, "started it twice"},
           {"input after its end", {start, wire::StdinEnd{}, block}, "input after its end"},
           {"no such signal", {start, wire::Signal{0}}, "signal that does not exist"},
           {"no such signal", {start, wire::Signal{65}}, "signal that does not exist"},
           {"more than was granted",
            {start, block, block, block, block, block, block, block},
            "more input than it was granted"},
           {"command and arguments",
            {wire::SessionStart{.command_line = "true", .argv = {"true"}}},
            "both a command line and an argument list"},
           {"a NUL in an argument",
            {wire::SessionStart{.argv = {std::string("a\0b", 3)}}},
            "NUL byte"},
           {"an impossible user", {wire::SessionStart{.user = "bob:"}}, "user is not NAME"},
           {"an impossible variable",
            {wire::SessionStart{.environment = {{"a=b", "c"}}}},
            "impossible name"},
       }) {
    HostPeer host;
    for (const auto& message : messages) host.send(message);
    auto failed = host.wait_for<wire::Failed>();
    ASSERT_TRUE(failed) << name;
    EXPECT_EQ(failed->shell_code, 125U) << name;
    EXPECT_THAT(failed->text, HasSubstr(says)) << name;
    EXPECT_EQ(host.receive(), std::nullopt) << name;
  }
}

TEST(AgentProtocol, GarbageIsAnsweredAndEndsTheConnection) {
  for (const auto& garbage : {std::string("\xff\xff\xff\xff", 4), std::string("\2\0\0\0hi", 6),
                              std::string("\0\0\0\0", 4)}) {
    HostPeer first;
    first.send_bytes(garbage);
    EXPECT_TRUE(first.wait_for<wire::Failed>());
    HostPeer later;
    later.start("sleep 1000");
    later.send_bytes(garbage);
    EXPECT_TRUE(later.wait_for<wire::Failed>());
  }
}

TEST(AgentProtocol, AConnectionThatEndsInTheMiddleOfAMessageEndsTheSession) {
  HostPeer host;
  host.start("trap '' HUP; exec sleep 1000");
  auto started = host.wait_for<wire::Started>();
  ASSERT_TRUE(started);
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, started->pid, 0)));
  host.send_bytes({"\x40\0\0", 3});
  host.close();
  pollfd waiting{.fd = process.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, kTestLimitMilliseconds), 1);
}

// Until its execve(2), a command's process has what the agent has open; nothing of the session may
// look into it (ptrace(2), PTRACE_MODE_ATTACH).
TEST(AgentProtocol, ACommandIsNotToBeLookedIntoBeforeItRuns) {
  pid_t agent = ::fork();
  if (agent == 0) {
    auto spaces = own_spaces().value();
    auto child = start_child({.command_line = "read line"}, spaces.ordinary);
    bool hidden = child.has_value() && ::prctl(PR_GET_DUMPABLE) == 0;
    if (child) ::kill(child->pid, SIGKILL);
    ::_exit(hidden ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(agent, &status, 0), agent);
  EXPECT_EQ(status, 0);
}

TEST(AgentProtocol, ACommandHasNoDescriptorButItsOwn) {
  HostPeer host;
  host.start("ls /proc/self/fd | tr '\\n' ' '");
  EXPECT_EQ(host.wait_for<wire::Stdout>(), (wire::Stdout{"0 1 2 3 "}));
}

}  // namespace
}  // namespace capsem::guest::pty_agent
