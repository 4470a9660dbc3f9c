#include "vm/qemu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "tests/temporary_directory.h"
#include "tests/vm/kernels.h"
#include "tests/vm/on_loop.h"

namespace capsem::vm {
namespace {

using std::chrono::milliseconds;
using ::testing::EndsWith;
using testing::halting_kernel;
using ::testing::HasSubstr;
using testing::in_memory;
using testing::on_loop;
using testing::TemporaryDirectory;

// A machine that runs for ever and needs no assets.
Machine idle_machine(const Fd& kernel) {
  return {.memory_bytes = 64 << 20, .kernel = &kernel, .linux_guest = false, .vsock = false};
}

// A program in place of QEMU.
std::string script(const TemporaryDirectory& directory, const std::string& body) {
  auto path = directory / "qemu";
  EXPECT_TRUE(write_file_atomically(path, "#!/bin/sh\n" + body, 0755));
  return path;
}

TEST(Qemu, MissingProgramNamesThePackage) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel), "qemu-of-no-system");
    EXPECT_EQ(qemu.error().kind(), ErrorKind::kNotFound);
    EXPECT_THAT(qemu.error().message(), HasSubstr("qemu-of-no-system: it is not in PATH"));
    EXPECT_THAT(qemu.error().message(), HasSubstr("apt-get install qemu-system-x86"));
    co_return;
  });
}

TEST(Qemu, SeesNothingOfOurEnvironment) {
  TemporaryDirectory directory;
  ::setenv("CAPSEM_TEST_SECRET", "seen", 1);
  auto program = script(directory, "echo \"secret ${CAPSEM_TEST_SECRET-unseen}\" >&2\nexit 1\n");
  on_loop([program](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel), program);
    auto connected = co_await qemu->connect();
    EXPECT_THAT(connected.error().message(), EndsWith("secret unseen"));
  });
  ::unsetenv("CAPSEM_TEST_SECRET");
}

TEST(Qemu, ErrorIsQemusOwnLastLine) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(as_bytes("no kernel"));
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    auto connected = co_await qemu->connect();
    EXPECT_FALSE(connected);
    EXPECT_THAT(connected.error().message(), HasSubstr("it ended with exit status 1: "));
    EXPECT_THAT(connected.error().message(), EndsWith("invalid kernel header"));
  });
}

TEST(Qemu, TooOldAQemuIsSaidWhenItRefusesItsArguments) {
  TemporaryDirectory directory;
  auto program =
      script(directory,
             "[ \"$1\" = --version ] && echo 'QEMU emulator version 5.2.0 (Debian)' && exit\n"
             "echo 'qemu-system-x86_64: bad option' >&2; exit 1\n");
  on_loop([&](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel), program);
    auto connected = co_await qemu->connect();
    EXPECT_THAT(connected.error().message(), HasSubstr("bad option; install QEMU 7.2 or newer"));
  });
}

TEST(Qemu, TooOldAQemuIsSaidWhenItStarts) {
  TemporaryDirectory directory;
  auto program = script(directory,
                        "fd=$(echo \"$*\" | sed 's/.*id=qmp,fd=\\([0-9]*\\).*/\\1/')\n"
                        "eval \"exec 9<&$fd 8>&$fd\"\n"
                        "echo '{\"QMP\": {\"version\": {\"qemu\": {\"major\": 6, \"minor\": 1, "
                        "\"micro\": 0}}}}' >&8\n"
                        "read command <&9\n"
                        "echo '{\"return\": {}, \"id\": 1}' >&8\n"
                        "read command <&9\n");
  on_loop([&](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel), program);
    auto connected = co_await qemu->connect();
    EXPECT_THAT(connected.error().message(), HasSubstr("it is version 6.1.0; install QEMU 7.2"));
  });
}

TEST(Qemu, AnswersQmpAndQuits) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    auto connected = co_await qemu->connect();
    EXPECT_TRUE(connected) << connected.error().message();
    std::string command = "query-status";
    nlohmann::json none = nlohmann::json::object();
    auto answer = co_await qemu->qmp().execute(command, none, milliseconds(5000));
    EXPECT_TRUE(answer && (*answer)["status"] == "running");
    auto status = co_await qemu->end();
    EXPECT_TRUE(status && status->success()) << status->describe();
    EXPECT_EQ(::kill(qemu->pid(), 0), -1);
  });
}

TEST(Qemu, EndsOneThatDoesNotListen) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    (void)co_await qemu->connect();
    ::kill(qemu->pid(), SIGSTOP);
    auto status = co_await qemu->end();
    EXPECT_EQ(status->signal, SIGKILL);
  });
}

TEST(Qemu, WaitingHasALimit) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    auto status = co_await qemu->wait_for(milliseconds(30));
    EXPECT_TRUE(status && !status->has_value());
  });
}

TEST(Qemu, IsGoneWhenItsOwnerGoes) {
  pid_t pid = 0;
  on_loop([&](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    pid = qemu->pid();
    co_return;
  });
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Qemu, DiesWithAParentThatIsKilled) {
  auto [read_end, write_end] = make_pipe().value();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t parent = ::fork();
  if (parent == 0) {
    boost::asio::io_context loop;
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(loop.get_executor(), idle_machine(kernel));
    pid_t pid = qemu ? qemu->pid() : -1;
    [[maybe_unused]] auto told = write_full(write_end, std::as_bytes(std::span(&pid, 1)), "pipe");
    for (;;) ::pause();
  }
  pid_t pid = -1;
  auto n = read_full(read_end, std::as_writable_bytes(std::span(&pid, 1)), "pipe");
  ASSERT_TRUE(n && *n == sizeof pid && pid > 0);
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  Fd orphan(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{.fd = orphan.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1) << "QEMU lives on";
  ::kill(pid, SIGTERM);  // does nothing to one that has ended
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(Qemu, IsOutOfReachOfTheTerminalsSignals) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    EXPECT_EQ(::getsid(qemu->pid()), qemu->pid());
    co_return;
  });
}

TEST(Qemu, HasNoPrivilegesEvenAsRoot) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    auto connected = co_await qemu->connect();
    EXPECT_TRUE(connected) << connected.error().message();
    auto status = read_file("/proc/" + std::to_string(qemu->pid()) + "/status", 1 << 16).value();
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"})
      EXPECT_THAT(status, HasSubstr(std::string(set) + ":\t0000000000000000\n"));
    if (::geteuid() == 0) {
      EXPECT_THAT(status, HasSubstr("CapBnd:\t0000000000000000\n"));
    }
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
  });
}

TEST(Qemu, RootBootsAKernelThatItsOwnerKeepsToHimself) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root reads what is another's";
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    EXPECT_EQ(::fchmod(kernel.get(), 0600), 0);
    EXPECT_EQ(::fchown(kernel.get(), 1000, 1000), 0);
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    auto connected = co_await qemu->connect();
    EXPECT_TRUE(connected) << connected.error().message();
  });
}

TEST(Qemu, TheLimitOnFilesIsNamedWhereTheMemoryIsLarger) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto qemu = Qemu::start(executor, idle_machine(kernel));
    EXPECT_EQ(qemu ? "it started" : qemu.error().message(),
              "cannot give the VM its 67 MB of memory: a file may have 1.0 MB here; raise the "
              "limit on the size of files (ulimit -f)");
    co_return;
  });
  ::setrlimit(RLIMIT_FSIZE, &before);
}

TEST(Qemu, GivesAwayTheVsockSocketOnce) {
  on_loop([](auto executor) -> Task<> {
    auto kernel = in_memory(halting_kernel());
    auto machine = idle_machine(kernel);
    machine.vsock = true;
    auto qemu = Qemu::start(executor, machine);
    auto socket = qemu->take_vsock_socket();
    // vhost-user's first message: VHOST_USER_GET_FEATURES, version 1, no payload.
    std::array<std::byte, 12> header{};
    auto n = read_full(socket, header, "vsock");
    EXPECT_TRUE(n && *n == header.size());
    EXPECT_EQ(header[0], std::byte{1});
    EXPECT_EQ(header[4], std::byte{1});
    EXPECT_FALSE(qemu->take_vsock_socket());
    co_return;
  });
}

}  // namespace
}  // namespace capsem::vm
