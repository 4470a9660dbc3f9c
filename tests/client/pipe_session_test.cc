// Sessions without a terminal, from the host's process through the agent to a real command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/client/capsem_process.h"
#include "tests/temporary_directory.h"

namespace capsem::client {
namespace {

using ::testing::HasSubstr;

SessionRequest arguments(std::vector<std::string> argv) {
  SessionRequest request;
  request.start.argv = std::move(argv);
  return request;
}

TEST(PipeSession, ExitStatusIsTheCommands) {
  EXPECT_EQ(run(command_line("exit 7")).code, 7);
  EXPECT_EQ(run(command_line("true")).code, 0);
  EXPECT_EQ(run(command_line("")).code, 0);
}

TEST(PipeSession, KillingSignalGives128AndTheSignal) {
  EXPECT_EQ(run(command_line("kill -9 $$")).code, 137);
  EXPECT_EQ(run(command_line("kill -TERM $$")).code, 143);
}

TEST(PipeSession, StandardOutputAndErrorStayApart) {
  auto finished = run(command_line("echo out; echo err >&2; echo out again"));
  EXPECT_EQ(finished.out, "out\nout again\n");
  EXPECT_EQ(finished.err, "err\n");
}

TEST(PipeSession, ArgumentsArriveExactly) {
  auto finished = run(arguments({"printf", "<%s>", "", "a b", "\n", "\xff*"}));
  EXPECT_EQ(finished.out, "<><a b><\n><\xff*>");
}

TEST(PipeSession, EnvironmentIsTheGuestsWithWhatWasAskedFor) {
  auto request = command_line("echo $ASKED $HOME $USER $LOGNAME $SHELL $LANG; printenv TERM PATH");
  request.start.environment = {{"ASKED", "for"}, {"LANG", "de_DE.UTF-8"}};
  auto finished = run(std::move(request));
  EXPECT_EQ(finished.out,
            "for /root root root /bin/bash de_DE.UTF-8\n"
            "/capsem/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
}

TEST(PipeSession, RunsInTheDirectoryAskedFor) {
  auto request = command_line("pwd");
  request.start.directory = "/usr/bin";
  EXPECT_EQ(run(std::move(request)).out, "/usr/bin\n");

  auto missing = command_line("pwd");
  missing.start.directory = "/nonexistent";
  auto finished = run(std::move(missing));
  EXPECT_EQ(finished.code, 126);
  EXPECT_EQ(finished.err,
            "capsem: cannot enter the directory /nonexistent in the guest: No such file or "
            "directory\n");
}

TEST(PipeSession, MissingCommandGives127AndOneLine) {
  auto by_name = run(arguments({"capsem-no-such-command"}));
  EXPECT_EQ(by_name.code, 127);
  EXPECT_EQ(by_name.err,
            "capsem: cannot run capsem-no-such-command in the guest: command not found\n");
  auto by_path = run(arguments({"/no/such/command"}));
  EXPECT_EQ(by_path.code, 127);
  auto by_shell = run(command_line("capsem-no-such-command"));
  EXPECT_EQ(by_shell.code, 127);
  EXPECT_THAT(by_shell.err, HasSubstr("capsem-no-such-command: command not found"));
}

TEST(PipeSession, CommandThatCannotBeExecutedGives126AndOneLine) {
  auto finished = run(arguments({"/etc/passwd"}));
  EXPECT_EQ(finished.code, 126);
  EXPECT_EQ(finished.err, "capsem: cannot run /etc/passwd in the guest: Permission denied\n");
}

TEST(PipeSession, ARequestTooLargeForItsMessageIsRefusedBeforeAnythingIsSent) {
  auto finished = run(command_line(std::string(2 << 20, 'x')));
  EXPECT_EQ(finished.code, 125);
  EXPECT_THAT(finished.err, HasSubstr("cannot start the session: cannot send a SessionStart"));
}

TEST(PipeSession, InputEndsWhereTheUsersDoes) {
  EXPECT_EQ(run(command_line("cat; echo end"), "a line\n").out, "a line\nend\n");
  EXPECT_EQ(run(command_line("cat; echo end"), "").out, "end\n");
}

TEST(PipeSession, ClosedStandardInputIsItsEnd) {
  auto out = make_pipe();
  CapsemProcess process(command_line("cat; echo end"), {-1, out->second.get(), 2});
  out->second.reset();
  EXPECT_EQ(read_all(out->first.get()), "end\n");
  EXPECT_EQ(process.wait(), 0);
}

// A command that says its process id and then waits to be ended, with more input than it reads.
struct Waiting {
  explicit Waiting(const std::string& line) {
    out = std::move(make_pipe().value());
    auto zero = open_file("/dev/zero", O_RDONLY);
    process.emplace(command_line(line), std::array{zero->get(), out.second.get(), 2});
    out.second.reset();
    ready = read_until(out.first.get(), text, "\n");
  }
  std::pair<Fd, Fd> out;
  std::string text;
  bool ready = false;
  std::optional<CapsemProcess> process;
};

TEST(PipeSession, SignalsReachACommandThatDoesNotReadItsInput) {
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    Waiting waiting(
        "trap 'exit 42' TERM INT HUP QUIT USR1 USR2; echo ready; "
        "while :; do sleep 0.01; done");
    ASSERT_TRUE(waiting.ready);
    waiting.process->signal(number);
    EXPECT_EQ(waiting.process->wait(), 42) << number;
  }
}

TEST(PipeSession, ASignalReachesTheWholeProcessGroup) {
  Waiting waiting("sleep 1000 | sleep 1000 & echo ready; wait");
  ASSERT_TRUE(waiting.ready);
  waiting.process->signal(SIGTERM);
  EXPECT_EQ(waiting.process->wait(), 143);
}

TEST(PipeSession, OutputThatNobodyReadsEndsTheWriterAsInALocalPipeline) {
  auto out = make_pipe();
  CapsemProcess process(command_line("seq 1 1000000000"), {0, out->second.get(), 2});
  out->second.reset();
  std::string text;
  ASSERT_TRUE(read_until(out->first.get(), text, "\n"));
  out->first.reset();
  EXPECT_EQ(process.wait(), 128 + SIGPIPE);
}

TEST(PipeSession, OnlyTheStreamThatNobodyReadsIsClosed) {
  auto out = make_pipe();
  auto err = make_pipe();
  err->first.reset();
  // bash itself survives: it ignores SIGPIPE here and goes on to its own status.
  CapsemProcess process(
      command_line("trap '' PIPE; while echo x >&2; do sleep 0.01; done; echo closed; exit 5"),
      {0, out->second.get(), err->second.get()});
  out->second.reset();
  err->second.reset();
  ASSERT_EQ(read_all(out->first.get()), "closed\n");
  EXPECT_EQ(process.wait(), 5);
}

TEST(PipeSession, AFullDiskIsAnErrorThatSaysSo) {
  auto full = open_file("/dev/full", O_WRONLY);
  auto err = make_pipe();
  CapsemProcess process(command_line("echo text; sleep 1000"), {0, full->get(), err->second.get()});
  err->second.reset();
  EXPECT_EQ(read_all(err->first.get()),
            "capsem: cannot write standard output: No space left on device\n");
  EXPECT_EQ(process.wait(), 125);
}

TEST(PipeSession, EndsWithTheCommandAndEndsABackgroundProcessThatHoldsItsOutput) {
  auto finished = run(command_line("sleep 1000 & echo $!"));
  EXPECT_EQ(finished.code, 0);
  EXPECT_TRUE(ends(std::stoi(finished.out)));
}

TEST(PipeSession, ABackgroundProcessWithAnOutputOfItsOwnGoesOn) {
  auto finished = run(command_line("sleep 1000 >/dev/null 2>&1 & echo $!"));
  EXPECT_EQ(finished.code, 0);
  pid_t left = std::stoi(finished.out);
  EXPECT_FALSE(ends(left, std::chrono::seconds(0)));
  ::kill(left, SIGKILL);
}

TEST(PipeSession, ALastFilterOfTheCommandIsHeardOut) {
  // It says nothing until the command has ended.
  auto finished = run(command_line(
      "exec > >(while [ -e /proc/$$/exe ]; do :; done; read word; echo ${word^^}); echo late; "
      "exit 3"));
  EXPECT_EQ(finished.out, "LATE\n");
  EXPECT_EQ(finished.code, 3);
}

TEST(PipeSession, WhenTheHostIsKilledNoProcessOfTheSessionIsLeft) {
  Waiting waiting(
      "trap '' HUP; sleep 1000 & set -m; (trap '' HUP TERM; exec sleep 1001) & "
      "echo $$ $! $(jobs -p); wait");
  ASSERT_TRUE(waiting.ready);
  waiting.process->signal(SIGKILL);
  auto pids = split(trim(waiting.text), ' ');
  ASSERT_GE(pids.size(), 3U);
  for (auto pid : pids) EXPECT_TRUE(ends(std::stoi(std::string(pid)))) << pid;
}

TEST(PipeSession, SessionsSideBySideDoNotMix) {
  constexpr int kSessions = 8;
  std::vector<std::pair<Fd, Fd>> outs;
  std::vector<std::unique_ptr<CapsemProcess>> processes;
  for (int i = 0; i < kSessions; ++i) {
    outs.push_back(std::move(make_pipe().value()));
    auto name = std::to_string(i);
    processes.push_back(std::make_unique<CapsemProcess>(
        command_line("yes " + name + " | head -c 200000; exit " + name),
        std::array{0, outs.back().second.get(), 2}));
    outs.back().second.reset();
  }
  for (int i = 0; i < kSessions; ++i) {
    std::string wanted;
    while (wanted.size() < 200000) wanted.append(std::to_string(i)).append("\n");
    EXPECT_EQ(read_all(outs[static_cast<std::size_t>(i)].first.get()), wanted);
    EXPECT_EQ(processes[static_cast<std::size_t>(i)]->wait(), i);
  }
}

}  // namespace
}  // namespace capsem::client
