#include "guest/pty-agent/session_init.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/capabilities.h"
#include "guest/end_signals.h"
#include "guest/paths.h"
#include "guest/pty-agent/descriptors.h"
#include "guest/pty-agent/session_root.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr std::size_t kReportBytes = 1024;

// The machine's PID 1, and any other process outside of the namespace, has no number in it: the
// kernel gives 0 (kill(2) of a process in another namespace), which no sender can make up.
bool is_from_outside(const siginfo_t& signal) {
  return signal.si_code == SI_USER && signal.si_pid == 0;
}

// The machine ends: with the first process of the namespace the kernel would kill all others, which
// have until PID 1's grace is over.
[[noreturn]] void end_after_the_others() {
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 10'000'000};
  while (::kill(-1, 0) == 0 || errno != ESRCH) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    ::nanosleep(&kPause, nullptr);
  }
  ::_exit(0);
}

[[noreturn]] void reap_and_relay(int end_signals) {
  // Blocked signals reach even the first process of a namespace, and wait until they are asked for.
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  for (const auto& row : kEndSignals) sigaddset(&awaited, row.signal);
  for (;;) {
    siginfo_t told{};
    int signal = ::sigwaitinfo(&awaited, &told);
    if (signal == SIGCHLD)
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
    if (signal <= 0 || signal == SIGCHLD) continue;
    if (signal == SIGTERM && is_from_outside(told)) end_after_the_others();
    auto byte = static_cast<unsigned char>(signal);
    [[maybe_unused]] auto written = ::write(end_signals, &byte, 1);
  }
}

[[noreturn]] void become_session_init(int report, int end_signals) {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::prctl(PR_SET_NAME, kSessionInitName);
  // With as few capabilities as it will have, anything in its namespace could otherwise trace it.
  ::prctl(PR_SET_DUMPABLE, 0);
  ::setsid();
  auto made = make_session_root();
  std::string problem = made ? "" : made.error().message();
  if (int error = limit_capabilities(0); problem.empty() && error != 0)
    problem = Error::system("drop the capabilities of", kSessionInitName, error).message();
  if (!problem.empty()) {
    problem.resize(std::min(problem.size(), kReportBytes));
    [[maybe_unused]] auto written = ::write(report, problem.data(), problem.size());
    ::_exit(1);
  }
  reap_and_relay(keep_only(end_signals));
}

}  // namespace

Result<SessionInit> start_session_init() {
  auto report = make_pipe();
  if (!report) return propagate(report);
  auto end_signals = make_pipe();
  if (!end_signals) return propagate(end_signals);
  clone_args arguments{};
  arguments.flags = CLONE_NEWPID | CLONE_NEWNS;
  arguments.exit_signal = SIGCHLD;
  auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid < 0) return fail_system("start", kSessionInitName, errno);
  if (pid == 0) become_session_init(report->second.get(), end_signals->second.get());

  // It closes its end of the pipe once it is complete, and writes before that only what is wrong.
  report->second.reset();
  std::array<std::byte, kReportBytes> problem;
  auto size = read_full(report->first, problem, "its report");
  if (size && *size == 0)
    return SessionInit{.pid = pid, .end_signals = std::move(end_signals->first)};
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  if (!size) return propagate(size);
  return fail("make", "the namespaces of sessions",
              std::string(as_text(std::span(problem).first(*size))));
}

}  // namespace capsem::guest::pty_agent
