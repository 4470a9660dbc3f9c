// Sessions on a terminal: the test plays the user at the master of a pseudo-terminal, the process
// under test has its other end, and the command has the one that the agent makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/client/capsem_process.h"
#include "tests/temporary_directory.h"

namespace capsem::client {
namespace {

using ::testing::HasSubstr;

class TerminalSession : public ::testing::Test {
 protected:
  void SetUp() override {
    winsize window{.ws_row = 33, .ws_col = 77, .ws_xpixel = 0, .ws_ypixel = 0};
    int master = -1;
    int slave = -1;
    ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, &window), 0);
    user_ = Fd(master);
    slave_ = Fd(slave);
    ASSERT_EQ(::fcntl(master, F_SETFD, FD_CLOEXEC), 0);
    found_ = modes();
  }

  void start(SessionRequest request, const char* type = "xterm") {
    ::setenv("TERM", type, 1);
    process_.emplace(std::move(request), std::array{slave_.get(), slave_.get(), slave_.get()},
                     true);
  }

  termios modes() {
    termios now{};
    EXPECT_EQ(::tcgetattr(slave_.get(), &now), 0);
    return now;
  }

  void type(std::string_view keys) {
    EXPECT_TRUE(write_full(user_, as_bytes(keys), "the terminal"));
  }

  // Waits for `text` on the screen and forgets what stood up to there.
  ::testing::AssertionResult sees(const std::string& text) {
    if (!read_until(user_.get(), screen_, text))
      return ::testing::AssertionFailure() << "no \"" << text << "\" in: " << screen_;
    screen_.erase(0, screen_.find(text) + text.size());
    return ::testing::AssertionSuccess();
  }

  // Takes what is written to the terminal until the process has ended: a sanitizer reports a crash
  // there, and would wait for ever for who reads that.
  void read_until_end() {
    auto deadline = std::chrono::steady_clock::now() + kTestLimit;
    siginfo_t ended{};
    while (::waitid(P_PID, static_cast<id_t>(process_->pid()), &ended,
                    WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0 && std::chrono::steady_clock::now() < deadline) {
      pollfd waiting{.fd = user_.get(), .events = POLLIN, .revents = 0};
      std::array<char, 4096> taken;
      if (::poll(&waiting, 1, 10) > 0 && ::read(user_.get(), taken.data(), taken.size()) < 0) break;
    }
  }

  // Waits until the terminal's modes are as they were found.
  bool is_restored() {
    auto deadline = std::chrono::steady_clock::now() + kTestLimit;
    while (!same_modes(modes(), found_)) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      ::usleep(1000);
    }
    return true;
  }

  Fd user_;
  Fd slave_;
  termios found_{};
  std::string screen_;
  std::optional<CapsemProcess> process_;
};

TEST_F(TerminalSession, TheCommandHasATerminalOfTheSameSizeAndName) {
  start(command_line("stty size; echo $TERM; test -t 0 -a -t 1 -a -t 2 && echo all three; exit 6"));
  EXPECT_TRUE(sees("33 77\r\n"));
  EXPECT_TRUE(sees("xterm\r\n"));
  EXPECT_TRUE(sees("all three\r\n"));
  EXPECT_EQ(process_->wait(), 6);
}

TEST_F(TerminalSession, ATypeThatTheGuestDoesNotKnowIsTheCommonOneWithTheColoursOfTheUsers) {
  ::setenv("COLORTERM", "truecolor", 1);
  start(command_line("echo $TERM with $COLORTERM"), "xterm-nobody-knows");
  EXPECT_TRUE(sees("xterm-256color with truecolor\r\n"));
  EXPECT_EQ(process_->wait(), 0);
  ::unsetenv("COLORTERM");
  start(command_line("echo colours: ${COLORTERM-unset}."));
  EXPECT_TRUE(sees("colours: unset.\r\n"));
  EXPECT_EQ(process_->wait(), 0);
}

TEST_F(TerminalSession, AResizeReachesTheCommand) {
  start(command_line("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done"));
  ASSERT_TRUE(sees("ready"));
  winsize window{.ws_row = 11, .ws_col = 222, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::ioctl(user_.get(), TIOCSWINSZ, &window), 0);
  EXPECT_TRUE(sees("11 222\r\n"));
  EXPECT_EQ(process_->wait(), 0);
}

TEST_F(TerminalSession, WithoutACommandThereIsALoginShell) {
  start(SessionRequest{});
  type("shopt -q login_shell && echo lo''gin; exit 9\r");
  EXPECT_TRUE(sees("login\r\n"));
  EXPECT_EQ(process_->wait(), 9);
}

TEST_F(TerminalSession, KeysDoJobControlInTheGuest) {
  SessionRequest request;
  request.start.argv = {"bash", "--norc", "-i"};
  request.start.environment = {{"PS1", "prompt> "}};
  start(std::move(request));
  ASSERT_TRUE(sees("prompt> "));
  // Not "( )" of bash, which loses a SIGINT between its echo and its exec.
  type("sh -c 'echo sl\"\"eeping; exec sleep 1000'\r");
  ASSERT_TRUE(sees("sleeping\r\n"));
  type("\x03");
  ASSERT_TRUE(sees("prompt> "));
  type("echo $?\r");
  ASSERT_TRUE(sees("130\r\n"));
  ASSERT_TRUE(sees("prompt> "));
  type("sh -c 'echo re\"\"ading; exec cat'\r");
  ASSERT_TRUE(sees("reading\r\n"));
  type("\x1a");
  ASSERT_TRUE(sees("Stopped"));
  ASSERT_TRUE(sees("prompt> "));
  type("fg\r");
  ASSERT_TRUE(sees("exec cat'\r\n"));
  type("still here\r");
  ASSERT_TRUE(sees("still here\r\nstill here\r\n"));
  type("\x04");
  ASSERT_TRUE(sees("prompt> "));
  type("exit 8\r");
  EXPECT_EQ(process_->wait(), 8);
}

TEST_F(TerminalSession, TheLastOutputIsNotLost) {
  start(command_line("seq 1 50000; echo the end"));
  EXPECT_TRUE(sees("\n49999\r\n50000\r\nthe end\r\n"));
  EXPECT_EQ(process_->wait(), 0);
}

TEST_F(TerminalSession, EndsAtOnceThoughABackgroundProcessHoldsTheTerminal) {
  start(command_line("trap '' HUP; sleep 1000 & echo pid $!.; exit 2"));
  ASSERT_TRUE(sees("pid "));
  ASSERT_TRUE(read_until(user_.get(), screen_, "."));
  EXPECT_EQ(process_->wait(), 2);
  ::kill(std::stoi(screen_), SIGKILL);
}

TEST_F(TerminalSession, GuestOutputReachesTheTerminalUnaltered) {
  start(command_line("stty raw; printf 'a\\nb\\t\\033[1mc\\377'"));
  EXPECT_TRUE(sees("a\nb\t\x1b[1mc\xff"));
  EXPECT_EQ(process_->wait(), 0);
}

TEST_F(TerminalSession, IsRawWhileAttachedAndPutBackAfterwards) {
  start(command_line("echo ready; read line"));
  ASSERT_TRUE(sees("ready"));
  EXPECT_EQ(modes().c_lflag & (ICANON | ECHO | ISIG), 0U);
  type("\r");
  EXPECT_EQ(process_->wait(), 0);
  EXPECT_TRUE(same_modes(modes(), found_));
}

TEST_F(TerminalSession, IsPutBackWhenASignalEndsIt) {
  for (int number : {SIGTERM, SIGHUP, SIGQUIT, SIGINT}) {
    start(command_line("echo ready; read line"));
    ASSERT_TRUE(sees("ready"));
    process_->signal(number);
    EXPECT_EQ(process_->wait(), 128 + number);
    EXPECT_TRUE(same_modes(modes(), found_)) << number;
  }
}

TEST_F(TerminalSession, IsPutBackAfterACrashOrAKill) {
  for (int number : {SIGKILL, SIGSEGV, SIGABRT}) {
    start(command_line("echo ready; read line"));
    ASSERT_TRUE(sees("ready"));
    EXPECT_FALSE(same_modes(modes(), found_));
    process_->signal(number);
    read_until_end();
    process_->wait();
    EXPECT_TRUE(is_restored()) << number;
  }
}

// The child of `process` that guards its terminal.
pid_t guard_of(pid_t process) {
  auto proc = "/proc/" + std::to_string(process);
  auto children = read_file(proc + "/task/" + std::to_string(process) + "/children", 4096);
  if (!children) return -1;
  for (auto child : split(trim(*children), ' ')) {
    auto name = read_file("/proc/" + std::string(child) + "/comm", 64);
    if (name && trim(*name) == "capsem-terminal") return std::stoi(std::string(child));
  }
  return -1;
}

bool is_traced(pid_t process) {
  auto status = read_file("/proc/" + std::to_string(process) + "/status", 4096);
  return status && status->find("TracerPid:\t0\n") == std::string::npos;
}

TEST_F(TerminalSession, TheScreenIsPutBackBeforeTheModesThatAShellWaitsFor) {
  start(command_line("printf '\\033[?1049hfull'; read line"));
  ASSERT_TRUE(sees("full"));
  pid_t guard = guard_of(process_->pid());
  ASSERT_GT(guard, 0);
  testing::TemporaryDirectory directory;
  auto trace = directory / "trace";
  auto strace = Process::start({.argv = {"strace", "-qq", "-s", "256", "-e", "trace=write,ioctl",
                                         "-o", trace, "-p", std::to_string(guard)}});
  ASSERT_TRUE(strace) << strace.error().message();
  while (!is_traced(guard))
    if (*strace->poll()) GTEST_SKIP() << "processes may not be traced here";
  process_->signal(SIGKILL);
  process_->wait();
  ASSERT_TRUE(strace->wait());
  auto calls = read_file(trace, 1 << 16).value();
  EXPECT_THAT(calls, ::testing::ContainsRegex("write.*1049l(.|\n)*ioctl.*TCSETS"));
}

TEST_F(TerminalSession, IsPutBackWhileItIsStoppedAndRawAgainAfterwards) {
  start(command_line("echo ready; read line; stty size; read line"));
  ASSERT_TRUE(sees("ready"));
  process_->signal(SIGTSTP);
  int status = 0;
  ASSERT_EQ(::waitpid(process_->pid(), &status, WUNTRACED), process_->pid());
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_TRUE(same_modes(modes(), found_));
  winsize window{.ws_row = 5, .ws_col = 6, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::ioctl(slave_.get(), TIOCSWINSZ, &window), 0);
  process_->signal(SIGCONT);
  // What is typed now may still be echoed by the terminal; the command's answer comes after it is
  // raw again and has its new size.
  type("\r");
  EXPECT_TRUE(sees("5 6\r\n"));
  EXPECT_EQ(modes().c_lflag & (ICANON | ECHO | ISIG), 0U);
  type("\r");
  EXPECT_EQ(process_->wait(), 0);
  EXPECT_TRUE(same_modes(modes(), found_));
}

TEST_F(TerminalSession, WhenTheTerminalGoesSoDoesTheSession) {
  start(command_line("echo pid $$.; exec sleep 1000"));
  ASSERT_TRUE(sees("pid "));
  ASSERT_TRUE(read_until(user_.get(), screen_, "."));
  user_.reset();
  slave_.reset();
  EXPECT_TRUE(ends(std::stoi(screen_)));
  process_->wait();
}

}  // namespace
}  // namespace capsem::client
