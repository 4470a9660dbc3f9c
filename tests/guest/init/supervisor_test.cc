// The supervisor over real child processes, with the time handed in.
#include "guest/init/supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::init {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// As long as a service lives that never was well.
constexpr milliseconds kShortLife{1};

ExitStatus status_of(int status) {
  return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
          .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0};
}

struct SupervisorTest : ::testing::Test {
  // A service that is the shell script `text`.
  manifest::Entry script(const std::string& text, bool restart = true) {
    auto path = directory / "service";
    EXPECT_TRUE(write_file_atomically(path, "#!/bin/sh\n" + text + "\n", 0755));
    return program(path, restart);
  }

  static manifest::Entry program(const std::string& path, bool restart = true) {
    manifest::Entry entry;
    entry.name = "service";
    entry.path = path;
    entry.service = manifest::Service{.arguments = {}, .listen = {}, .restart = restart};
    return entry;
  }

  // Waits for the next child to end and tells the supervisor that it did so at `now`.
  void reap(Clock::time_point now) {
    int status = 0;
    pid_t pid = ::waitpid(-1, &status, 0);
    ASSERT_GT(pid, 0);
    ASSERT_TRUE(supervisor.reaped(pid, status_of(status), now));
  }

  // Starts what is due, lets it end after `life`, and returns how long the next start then waits.
  milliseconds next_delay(Clock::duration life) {
    auto start = supervisor.next_start();
    if (!start) return milliseconds(-1);
    supervisor.start_due(*start);
    reap(*start + life);
    auto next = supervisor.next_start();
    if (!next) return milliseconds(-1);
    return std::chrono::duration_cast<milliseconds>(*next - (*start + life));
  }

  static bool has_children() { return ::waitpid(-1, nullptr, WNOHANG) == 0; }

  std::string written(const std::string& name) const {
    auto text = read_file(directory / name, 1 << 16);
    return text ? std::string(trim(*text)) : text.error().message();
  }

  capsem::testing::TemporaryDirectory directory;
  std::vector<std::string> reports;
  Supervisor supervisor{[this](const std::string& service, const std::string& text) {
                          reports.push_back(service + ": " + text);
                        },
                        confine};

  static int confine(manifest::CapabilitySet capabilities) {
    if (capabilities == manifest::capability_bit(CAP_BPF)) return EPERM;
    ::umask(capabilities == manifest::capability_bit(CAP_NET_BIND_SERVICE) ? 0123 : 022);
    return 0;
  }
};

TEST_F(SupervisorTest, ConfinesAServiceToTheCapabilitiesOfItsEntry) {
  auto entry = script("umask > " + (directory / "seen").string());
  entry.service->capabilities = manifest::capability_bit(CAP_NET_BIND_SERVICE);
  ASSERT_TRUE(supervisor.add(entry, {}));
  reap(Clock::now());
  EXPECT_EQ(written("seen"), "0123");
}

TEST_F(SupervisorTest, AServiceThatCannotBeConfinedDoesNotStart) {
  auto entry = script("echo ran > " + (directory / "seen").string());
  entry.service->capabilities = manifest::capability_bit(CAP_BPF);
  auto added = supervisor.add(entry, {});
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().message(), HasSubstr("Operation not permitted"));
  reap(Clock::now());
  EXPECT_FALSE(read_file(directory / "seen", 100));
}

TEST_F(SupervisorTest, StartsAServiceWithItsArguments) {
  auto entry = script("echo \"$1|$2|$#\" > " + (directory / "seen").string());
  entry.service->arguments = {"--port", "a b"};
  ASSERT_TRUE(supervisor.add(entry, {}));
  reap(Clock::now());
  EXPECT_EQ(written("seen"), "--port|a b|2");
}

TEST_F(SupervisorTest, GivesAServiceAnEnvironmentAndASessionOfItsOwn) {
  auto entry = script("cd " + directory.path().string() +
                      "\necho \"$PATH|$HOME|$LISTEN_FDS$SECRET\" > environment"
                      "\necho $$ > pid; cut -d' ' -f6 /proc/$$/stat > session"
                      "\nreadlink /proc/$$/fd/0 > input");
  ASSERT_EQ(::setenv("SECRET", "of PID 1", 1), 0);
  ASSERT_TRUE(supervisor.add(entry, {}));
  reap(Clock::now());
  ::unsetenv("SECRET");
  EXPECT_THAT(written("environment"), ::testing::StartsWith("/capsem/bin:"));
  EXPECT_THAT(written("environment"), ::testing::EndsWith("|/root|"));
  EXPECT_EQ(written("session"), written("pid"));
  EXPECT_EQ(written("input"), "/dev/null");
}

// Not with a shell, which sets its own mask.
TEST_F(SupervisorTest, TheSignalsThatPid1BlocksReachAService) {
  auto entry = program("/bin/cp");
  entry.service->arguments = {"/proc/self/status", directory / "status"};
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &blocked, &before), 0);
  auto started = supervisor.add(entry, {});
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(started) << started.error().message();
  reap(Clock::now());
  EXPECT_THAT(written("status"), HasSubstr("SigBlk:\t0000000000000000"));
}

TEST_F(SupervisorTest, EachEarlyEndDoublesTheDelayUpToTheLongest) {
  ASSERT_TRUE(supervisor.add(script("exit 3"), {}));
  auto now = Clock::now();
  reap(now);
  EXPECT_EQ(supervisor.next_start(), now + kFirstDelay);
  EXPECT_THAT(reports,
              ElementsAre("service: ended with exit status 3, starting it again in 100 ms"));
  for (int delay : {200, 400, 800, 1600, 3200, 5000, 5000})
    EXPECT_EQ(next_delay(kShortLife), milliseconds(delay));
  EXPECT_EQ(kLongestDelay, milliseconds(5000));
}

TEST_F(SupervisorTest, AServiceThatWasWellStartsAgainSoon) {
  ASSERT_TRUE(supervisor.add(script("exit 0"), {}));
  reap(Clock::now());
  EXPECT_EQ(next_delay(kWellAfter - milliseconds(1)), 2 * kFirstDelay);
  EXPECT_EQ(next_delay(kWellAfter), kFirstDelay);
  EXPECT_EQ(next_delay(kShortLife), 2 * kFirstDelay);
}

TEST_F(SupervisorTest, NothingIsStartedBeforeItIsDue) {
  ASSERT_TRUE(supervisor.add(script("exit 0"), {}));
  reap(Clock::now());
  auto due = supervisor.next_start().value();
  supervisor.start_due(due - milliseconds(1));
  EXPECT_FALSE(has_children());
  EXPECT_EQ(supervisor.next_start(), due);
  supervisor.start_due(due);
  EXPECT_EQ(supervisor.next_start(), std::nullopt);
  reap(due);
}

TEST_F(SupervisorTest, TheEarliestStartIsTheNext) {
  ASSERT_TRUE(supervisor.add(script("exit 0"), {}));
  auto now = Clock::now();
  reap(now + milliseconds(500));
  ASSERT_TRUE(supervisor.add(script("exit 0"), {}));
  reap(now);
  EXPECT_EQ(supervisor.next_start(), now + kFirstDelay);
}

TEST_F(SupervisorTest, WithoutRestartAnEndIsReportedAndFinal) {
  ASSERT_TRUE(supervisor.add(script("kill -9 $$", false), {}));
  reap(Clock::now());
  EXPECT_THAT(reports, ElementsAre("service: ended with signal 9 (Killed)"));
  EXPECT_EQ(supervisor.next_start(), std::nullopt);
}

TEST_F(SupervisorTest, AnotherChildIsNoService) {
  ASSERT_TRUE(supervisor.add(script("exit 0"), {}));
  EXPECT_FALSE(supervisor.reaped(1, {}, Clock::now()));
  EXPECT_THAT(reports, IsEmpty());
  reap(Clock::now());
}

TEST_F(SupervisorTest, AProgramThatCannotBeExecutedIsAnErrorWithTheReason) {
  auto missing = (directory / "missing").string();
  auto started = supervisor.add(program(missing), {});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message(), "cannot start " + missing + ": No such file or directory");
  reap(Clock::now());
  EXPECT_THAT(reports, ElementsAre("service: cannot start " + missing +
                                   ": No such file or directory, starting it again in 100 ms"));
  EXPECT_NE(supervisor.next_start(), std::nullopt);
}

TEST_F(SupervisorTest, ALaterStartThatFailsIsReportedWithTheReason) {
  auto entry = script("exit 0");
  ASSERT_TRUE(supervisor.add(entry, {}));
  reap(Clock::now());
  ASSERT_EQ(::chmod(entry.path.c_str(), 0644), 0);
  reports.clear();
  EXPECT_EQ(next_delay(kShortLife), 2 * kFirstDelay);
  EXPECT_THAT(reports, ElementsAre("service: cannot start " + entry.path +
                                   ": Permission denied, starting it again in 200 ms"));
  // And not for ever.
  ASSERT_EQ(::chmod(entry.path.c_str(), 0755), 0);
  reports.clear();
  next_delay(kShortLife);
  EXPECT_THAT(reports,
              ElementsAre("service: ended with exit status 0, starting it again in 400 ms"));
}

// As when the guest has no memory or descriptors left: there is not even a child.
TEST_F(SupervisorTest, AStartWithoutAChildBacksOffAsWell) {
  ASSERT_TRUE(supervisor.add(script("exit 0"), {}));
  reap(Clock::now());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  std::vector<Clock::duration> delays;
  for (int i = 0; i < 8; ++i) {
    auto start = supervisor.next_start().value();
    supervisor.start_due(start);
    delays.push_back(supervisor.next_start().value() - start);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(has_children());
  EXPECT_EQ(delays.front(), 2 * kFirstDelay);
  EXPECT_EQ(delays[6], kLongestDelay);
  EXPECT_EQ(delays[7], kLongestDelay);
  EXPECT_THAT(reports.back(), AllOf(HasSubstr("Too many open files; raise the limit"),
                                    HasSubstr(", starting it again in 5000 ms")));
}

TEST_F(SupervisorTest, AServiceWhoseFirstStartFindsNoProcessIsStartedLater) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  auto entry = script("exit 0");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  auto added = supervisor.add(entry, {});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(added);
  EXPECT_THAT(reports, ElementsAre(AllOf(HasSubstr("Too many open files; raise the limit"),
                                         HasSubstr(", starting it again in 100 ms"))));
  supervisor.start_due(supervisor.next_start().value());
  reap(Clock::now());
}

TEST_F(SupervisorTest, AfterStopTheEndOfAServiceIsSilentAndFinal) {
  ASSERT_TRUE(supervisor.add(script("exit 1"), {}));
  ASSERT_TRUE(supervisor.add(script("exit 2"), {}));
  reap(Clock::now());
  auto due = supervisor.next_start().value();
  reports.clear();
  supervisor.stop();
  reap(Clock::now());
  supervisor.start_due(due + kLongestDelay);
  EXPECT_FALSE(has_children());
  EXPECT_THAT(reports, IsEmpty());
}

// ---- services that become others

struct SupervisorChange : SupervisorTest {
  // A service that writes `name` when it runs, and goes on until a signal ends it.
  manifest::Entry lasting(const std::string& name) {
    return script("cd " + directory.path().string() + "; echo $$ > " + name + "; exec sleep 100");
  }
  void wait_for(const std::string& name) {
    while (!std::filesystem::exists(directory / name)) ::usleep(1000);
  }
  // Ends what still runs.
  ~SupervisorChange() override {
    supervisor.stop();
    if (auto pid = supervisor.pid_of("service"); pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
};

TEST_F(SupervisorChange, AReplacedProgramIsStartedAgainAtOnceAndWithoutAWord) {
  ASSERT_TRUE(supervisor.add(lasting("old"), {}));
  wait_for("old");
  auto before = supervisor.pid_of("service");
  lasting("new");
  supervisor.replaced("service", Clock::now());
  EXPECT_FALSE(supervisor.settled());
  reap(Clock::now());
  EXPECT_TRUE(supervisor.settled());
  wait_for("new");
  EXPECT_NE(supervisor.pid_of("service"), before);
  EXPECT_THAT(reports, IsEmpty());
}

TEST_F(SupervisorChange, OneThatExecutesItsProgramAnewStaysTheSameProcess) {
  // The shell's program is another file than the script, until it executes a copy of sleep there.
  auto path = directory / "service";
  ASSERT_TRUE(std::filesystem::copy_file("/bin/sleep", directory / "copy"));
  auto entry = script("cd " + directory.path().string() +
                      "; trap 'mv copy service; exec ./service 100' HUP; echo > up;"
                      " while :; do sleep 0.01; done");
  ASSERT_TRUE(supervisor.add(entry, {}));
  wait_for("up");
  auto before = supervisor.pid_of("service");
  supervisor.replaced("service", Clock::now());
  const auto limit = Clock::now() + std::chrono::seconds(20);
  while (!supervisor.settled() && Clock::now() < limit) {
    ::usleep(1000);
    // Before it would be killed.
    supervisor.start_due(std::min(Clock::now(), supervisor.next_start().value()));
  }
  EXPECT_TRUE(supervisor.settled());
  EXPECT_EQ(supervisor.pid_of("service"), before);
}

TEST_F(SupervisorChange, OneThatDoesNotFollowIsKilled) {
  auto entry = script("cd " + directory.path().string() +
                      "; trap '' HUP TERM; echo > up; while :; do sleep 0.01; done");
  ASSERT_TRUE(supervisor.add(entry, {}));
  wait_for("up");
  lasting("new");
  auto now = Clock::now();
  supervisor.replaced("service", now);
  supervisor.start_due(now + kChangeLimit);
  reap(Clock::now());
  wait_for("new");
  EXPECT_TRUE(supervisor.settled());
}

TEST_F(SupervisorChange, OneThatDoesNotEndThoughItIsKilledIsNotWaitedForForEver) {
  ASSERT_TRUE(supervisor.add(lasting("old"), {}));
  wait_for("old");
  auto now = Clock::now();
  supervisor.change(lasting("new"), now);
  supervisor.start_due(now + kChangeLimit);
  EXPECT_FALSE(supervisor.settled());
  // Not reaped: to the supervisor it is a process that is there still.
  supervisor.start_due(now + 2 * kChangeLimit);
  EXPECT_TRUE(supervisor.settled());
  EXPECT_EQ(supervisor.pid_of("service"), 0);
  reap(Clock::now());
  wait_for("new");
  EXPECT_NE(supervisor.pid_of("service"), 0);
}

TEST_F(SupervisorChange, AProgramThatCannotBeExecutedDoesNotRun) {
  ASSERT_TRUE(supervisor.add(lasting("old"), {}));
  wait_for("old");
  supervisor.replaced("service", Clock::now());
  ASSERT_TRUE(std::filesystem::remove(directory / "service"));
  reap(Clock::now());
  EXPECT_EQ(supervisor.pid_of("service"), 0);
  EXPECT_FALSE(supervisor.has_finished("service"));
  reap(Clock::now());
  EXPECT_TRUE(supervisor.next_start());
}

TEST_F(SupervisorChange, OneThatIsNotStartedAgainHasFinished) {
  auto entry = script("exit 0", false);
  ASSERT_TRUE(supervisor.add(entry, {}));
  reap(Clock::now());
  EXPECT_TRUE(supervisor.has_finished("service"));
  supervisor.replaced("service", Clock::now());
  EXPECT_TRUE(supervisor.settled());
  EXPECT_TRUE(supervisor.has_finished("service"));
}

TEST_F(SupervisorChange, OtherSettingsHoldFromTheNextStartOn) {
  ASSERT_TRUE(supervisor.add(lasting("old"), {}));
  wait_for("old");
  auto entry = script("cd " + directory.path().string() + "; echo > $1; exec sleep 100");
  entry.service->arguments = {"argument"};
  supervisor.change(entry, Clock::now());
  reap(Clock::now());
  wait_for("argument");
  EXPECT_TRUE(supervisor.settled());
}

TEST_F(SupervisorChange, ARemovedServiceEndsForGood) {
  ASSERT_TRUE(supervisor.add(lasting("old"), {}));
  wait_for("old");
  supervisor.remove("service", Clock::now());
  reap(Clock::now());
  EXPECT_TRUE(supervisor.settled());
  EXPECT_EQ(supervisor.pid_of("service"), 0);
  EXPECT_EQ(supervisor.next_start(), std::nullopt);
  EXPECT_FALSE(has_children());
}

// Where PID 1 happens to hold the listening socket: on the number it gets in the service, or not.
struct SupervisorListener : SupervisorTest, ::testing::WithParamInterface<int> {
  Fd listening_socket() {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    auto path = (directory / "socket").string();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket.get(), 1), 0);
    return socket;
  }
};

TEST_P(SupervisorListener, IsADescriptorFrom3OnOfEachProcessOfItsService) {
  auto socket = listening_socket();
  struct stat seen{};
  ASSERT_EQ(::fstat(socket.get(), &seen), 0);
  if (socket.get() != GetParam()) {
    // Whatever the test's runner left open on that number gives way.
    ASSERT_EQ(::dup3(socket.get(), GetParam(), O_CLOEXEC), GetParam());
    socket = Fd(GetParam());
  }
  auto entry =
      script("cd " + directory.path().string() +
             "\necho $(stat -L -c %i /proc/$$/fd/3 /proc/$$/fd/4) $LISTEN_FDS > listener.$1"
             "\necho $LISTEN_PID > told.$1; echo $$ > pid.$1");
  // The second is on the number that the first one is to have, when that one is not.
  Fd second(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct stat seen_second{};
  ASSERT_EQ(::fstat(second.get(), &seen_second), 0);
  auto expected = std::to_string(seen.st_ino) + " " + std::to_string(seen_second.st_ino) + " 2";
  entry.service->arguments = {"run"};
  std::vector<Fd> listeners;
  listeners.push_back(std::move(socket));
  listeners.push_back(std::move(second));
  ASSERT_TRUE(supervisor.add(entry, std::move(listeners)));
  for (int run = 0; run < 2; ++run) {
    reap(Clock::now());
    EXPECT_EQ(written("listener.run"), expected) << "run " << run;
    EXPECT_EQ(written("told.run"), written("pid.run")) << "run " << run;
    ASSERT_EQ(::unlink((directory / "listener.run").c_str()), 0);
    if (run == 0) supervisor.start_due(supervisor.next_start().value());
  }
}

INSTANTIATE_TEST_SUITE_P(HeldAt, SupervisorListener, ::testing::Values(3, 100),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace capsem::guest::init
