#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/capabilities.h"
#include "base/signals_blocked.h"
#include "base/text.h"

namespace capsem {
namespace {

// Everything the child needs, made before fork(2): after it only async-signal-safe calls are made.
struct Plan {
  std::string program;
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::string directory;
  std::vector<std::pair<int, int>> fds;
  bool new_session;
  bool die_with_parent;
  bool unprivileged;
  pid_t parent;
  int report;  // the end of a pipe to which errno goes when something fails
};

[[noreturn]] void report_and_exit(int report) {
  int reason = errno;
  [[maybe_unused]] auto n = ::write(report, &reason, sizeof reason);
  ::_exit(127);
}

// Every signal is blocked when this begins, so that no handler of the parent's runs in the child.
void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action{};
    if (::sigaction(signal, nullptr, &action) != 0) continue;
    // Those that capsem itself ignores; what else is ignored is so by its user's will (nohup).
    bool ours = signal == SIGCHLD || signal == SIGPIPE || signal == SIGXFSZ;
    if (action.sa_handler != SIG_IGN || ours) ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(Plan& plan) {
  reset_signals();
  if (plan.new_session) ::setsid();
  if (plan.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != plan.parent) ::_exit(127);  // the parent died before the call above
  }
  // Sources are first moved above every target, so that no dup2 destroys one still needed.
  int above = plan.report;
  for (const auto& [target, source] : plan.fds) above = std::max({above, target, source});
  plan.report = ::fcntl(plan.report, F_DUPFD_CLOEXEC, above + 1);
  for (auto& [target, source] : plan.fds) {
    source = ::fcntl(source, F_DUPFD_CLOEXEC, above + 1);
    if (source < 0) report_and_exit(plan.report);
  }
  int highest = 2;
  for (const auto& [target, source] : plan.fds) {
    if (::dup2(source, target) < 0) report_and_exit(plan.report);
    highest = std::max(highest, target);
  }
  for (int fd = 3; fd <= highest; ++fd) {
    bool wanted = std::any_of(plan.fds.begin(), plan.fds.end(),
                              [fd](const auto& pair) { return pair.first == fd; });
    if (!wanted) ::close(fd);
  }
  // Whatever lies above, a descriptor someone opened without close-on-exec included.
  ::syscall(SYS_close_range, highest + 1, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  if (!plan.directory.empty() && ::chdir(plan.directory.c_str()) != 0) report_and_exit(plan.report);
  if (plan.unprivileged) {
    errno = give_up_privileges();
    if (errno != 0) report_and_exit(plan.report);
  }
  ::execve(plan.program.c_str(), plan.argv.data(), plan.environment.data());
  report_and_exit(plan.report);
}

// The kernel keeps no status of a child while SIGCHLD is ignored, as a parent may have left it.
void keep_status_of_children() {
  struct sigaction action{};
  ::sigaction(SIGCHLD, nullptr, &action);
  bool ignored = action.sa_handler == SIG_IGN;
  if (!ignored && (action.sa_flags & SA_NOCLDWAIT) == 0) return;
  if (ignored) action.sa_handler = SIG_DFL;
  action.sa_flags &= ~SA_NOCLDWAIT;
  ::sigaction(SIGCHLD, &action, nullptr);
}

pid_t fork_without_signals(Plan& plan) {
  SignalsBlocked blocked;
  pid_t pid = ::fork();
  if (pid == 0) run_child(plan);
  return pid;
}

}  // namespace

std::vector<char*> exec_list(const std::vector<std::string>& words) {
  std::vector<char*> list;
  list.reserve(words.size() + 1);
  for (const auto& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  return list;
}

std::string ExitStatus::describe() const {
  if (signal == 0) return "exit status " + std::to_string(code);
  return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = other.pid_;
    pidfd_ = std::move(other.pidfd_);
    reaped_ = other.reaped_;
  }
  return *this;
}

Process::~Process() {
  end();
}

void Process::end() {
  if (!pidfd_ || reaped_) return;
  kill(SIGKILL);
  [[maybe_unused]] auto status = wait();
}

Result<Process> Process::start(const Command& command) {
  auto program = find_program(command.argv.at(0));
  if (!program) return propagate(program);
  auto pipe = make_pipe();
  if (!pipe) return propagate(pipe);

  std::vector<char*> environment;
  if (command.environment)
    environment = exec_list(*command.environment);
  else
    for (char** entry = environ; entry != nullptr; ++entry) {
      environment.push_back(*entry);
      if (*entry == nullptr) break;
    }
  Plan plan{.program = *program,
            .argv = exec_list(command.argv),
            .environment = std::move(environment),
            .directory = command.directory,
            .fds = command.fds,
            .new_session = command.new_session,
            .die_with_parent = command.die_with_parent,
            .unprivileged = command.unprivileged,
            .parent = ::getpid(),
            .report = pipe->second.get()};
  keep_status_of_children();
  pid_t pid = fork_without_signals(plan);
  if (pid < 0)
    return fail_system("start", command.argv[0], errno, errno == EAGAIN ? kProcessLimitAdvice : "");

  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  int pidfd_errno = errno;
  pipe->second.reset();
  int reason = 0;
  auto n = read_full(pipe->first, std::as_writable_bytes(std::span(&reason, 1)), command.argv[0]);
  if ((n && *n == sizeof reason) || !pidfd) {
    if (!pidfd) ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail_system("start", command.argv[0], pidfd ? reason : pidfd_errno);
  }
  return Process(pid, std::move(pidfd));
}

Result<ExitStatus> Process::wait() {
  for (;;) {
    auto status = poll();
    if (!status) return propagate(status);
    if (*status) return **status;
    pollfd waiting{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, -1) < 0 && errno != EINTR)
      return fail_system("wait for", "process " + std::to_string(pid_), errno);
  }
}

Result<std::optional<ExitStatus>> Process::poll() {
  int status = 0;
  pid_t pid = -1;
  do {
    pid = ::waitpid(pid_, &status, WNOHANG);
  } while (pid < 0 && errno == EINTR);
  if (pid < 0) return fail_system("wait for", "process " + std::to_string(pid_), errno);
  if (pid == 0) return std::nullopt;
  reaped_ = true;
  if (WIFSIGNALED(status)) return ExitStatus{.code = 0, .signal = WTERMSIG(status)};
  return ExitStatus{.code = WEXITSTATUS(status), .signal = 0};
}

void Process::kill(int signal) const {
  if (!reaped_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

Result<std::string> run_for_output(Command command, std::size_t limit_bytes) {
  auto out = make_pipe();
  if (!out) return propagate(out);
  auto err = make_pipe();
  if (!err) return propagate(err);
  auto name = command.argv.at(0);
  command.fds.emplace_back(1, out->second.get());
  command.fds.emplace_back(2, err->second.get());
  auto process = Process::start(command);
  if (!process) return propagate(process);
  out->second.reset();
  err->second.reset();

  constexpr std::size_t kErrorTail = 64 << 10;
  std::array<std::string, 2> texts;
  std::array<Fd*, 2> ends = {&out->first, &err->first};
  while (*ends[0] || *ends[1]) {
    std::array<pollfd, 2> waiting = {pollfd{ends[0]->get(), POLLIN, 0},
                                     pollfd{ends[1]->get(), POLLIN, 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail_system("read the output of", name, errno);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (waiting[i].revents == 0) continue;
      std::array<char, 65536> buffer;
      ssize_t n = ::read(ends[i]->get(), buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_system("read the output of", name, errno);
      if (n == 0) {
        ends[i]->reset();
        continue;
      }
      texts[i].append(buffer.data(), static_cast<std::size_t>(n));
      if (i == 1 && texts[1].size() > kErrorTail) texts[1].erase(0, texts[1].size() - kErrorTail);
    }
    if (texts[0].size() > limit_bytes)
      return fail("read the output of", name,
                  "it is larger than " + std::to_string(limit_bytes) + " bytes");
  }
  auto status = process->wait();
  if (!status) return propagate(status);
  if (!status->success()) {
    auto lines = split(trim(texts[1]), '\n');
    return fail("run", name,
                status->describe() + (lines.back().empty() ? "" : ": ") + printable(lines.back()));
  }
  return std::move(texts[0]);
}

Result<std::filesystem::path> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = ::getenv("PATH");
  for (auto directory : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    auto candidate = std::filesystem::path(directory.empty() ? "." : directory) / name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail("find the program", name, "it is not in PATH", "", ErrorKind::kNotFound);
}

}  // namespace capsem
