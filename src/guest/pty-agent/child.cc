#include "guest/pty-agent/child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/capabilities.h"
#include "base/process.h"
#include "base/text.h"
#include "guest/pty-agent/argument_limits.h"
#include "guest/pty-agent/descriptors.h"
#include "guest/pty-agent/environment.h"
#include "guest/pty-agent/user.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr std::uint32_t kNotFound = 127;
constexpr std::uint32_t kNotExecutable = 126;
constexpr std::uint32_t kCannot = 125;

std::unexpected<wire::Failed> failed(std::uint32_t shell_code, std::string text) {
  return std::unexpected(wire::Failed{shell_code, wire::clipped(std::move(text))});
}

std::unexpected<wire::Failed> failed(const Error& error) {
  return failed(kCannot, error.message());
}

// The last step the new process took, sent back with errno when it cannot go on.
enum class Step : int { kSetUp, kSpace, kUser, kDirectory, kExecute };

struct Report {
  Step step;
  int error;
};

// Everything the new process needs, made before fork(2): after it only async-signal-safe calls are
// made.
struct Plan {
  std::string program;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::string directory;
  bool directory_is_optional = false;  // the home directory, which need not exist
  std::array<int, 3> standard{};       // what becomes 0, 1 and 2
  bool has_terminal = false;
  User user;
  const Space* space = nullptr;
  const SessionGroup* group = nullptr;
  int report = -1;
};

winsize window_size(const wire::TerminalSize& size) {
  auto cells = [](std::uint32_t n) {
    return static_cast<unsigned short>(
        std::min<std::uint32_t>(n, std::numeric_limits<unsigned short>::max()));
  };
  return {.ws_row = cells(size.rows),
          .ws_col = cells(size.columns),
          .ws_xpixel = cells(size.x_pixels),
          .ws_ypixel = cells(size.y_pixels)};
}

[[noreturn]] void give_up(int report, Step step) {
  Report text{step, errno};
  [[maybe_unused]] auto n = ::write(report, &text, sizeof text);
  ::_exit(static_cast<int>(kNotFound));
}

void reset_signals() {
  struct sigaction plain{};
  plain.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &plain, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The agent is out of reach of the kernel's OOM killer; what it starts is not.
int expose_to_oom_killer() {
  constexpr std::string_view kUsual = "0";
  Fd file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  bool done = file && ::write(file.get(), kUsual.data(), kUsual.size()) > 0;
  return done ? 0 : errno;
}

// The command goes before what it starts, which begins at the usual 0 again (sched(7), "the
// reset-on-fork flag"): a shell whose children take the processor, thousands of them even, can
// still end them, and itself. Where it may not be, nothing is lost but that.
void prefer_to_children() {
  struct {  // struct sched_attr of linux/sched/types.h, which glibc's sched.h does not go with
    std::uint32_t size;
    std::uint32_t policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attributes{};
  constexpr std::uint64_t kResetOnFork = 1;  // SCHED_FLAG_RESET_ON_FORK
  attributes.size = sizeof attributes;
  attributes.flags = kResetOnFork;
  attributes.nice = -10;
  ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

// Becomes the user, with the standard streams as its own, so that it can open them again by their
// names: /dev/pts/N, /dev/stdout.
int become_owner(const Credentials& credentials) {
  for (int stream = 0; stream < 3; ++stream)
    if (::fchown(stream, credentials.uid, static_cast<gid_t>(-1)) != 0) return errno;
  return become(credentials);
}

[[noreturn]] void become_command(const Plan& plan, char* const* argv, char** environment) {
  reset_signals();
  ::umask(022);
  if (::setsid() < 0) give_up(plan.report, Step::kSetUp);
  if (plan.has_terminal && ::ioctl(plan.standard[0], TIOCSCTTY, 0) != 0)
    give_up(plan.report, Step::kSetUp);
  // None of them is below 3: the agent keeps those open.
  for (int target = 0; target < 3; ++target)
    if (::dup2(plan.standard.at(static_cast<std::size_t>(target)), target) < 0)
      give_up(plan.report, Step::kSetUp);
  int error = plan.group != nullptr ? expose_to_oom_killer() : 0;
  if (plan.group != nullptr) prefer_to_children();
  if (error == 0) error = enter(*plan.space);
  // Before it is no more than other processes of the session: they may look into it from then on.
  const int report = keep_only(plan.report);
  if (error == 0 && plan.space->capabilities != manifest::kAllCapabilities)
    error = limit_capabilities(plan.space->capabilities);
  if (error != 0) {
    errno = error;
    give_up(report, Step::kSpace);
  }
  if (plan.user.credentials) error = become_owner(*plan.user.credentials);
  if (error != 0) {
    errno = error;
    give_up(report, Step::kUser);
  }
  if (::chdir(plan.directory.c_str()) != 0) {
    bool goes_on = plan.directory_is_optional && ::chdir("/") == 0;
    if (!goes_on) give_up(report, Step::kDirectory);
  }
  // Where that fails the command is slower, and no other.
  if (plan.space->fixed_addresses) ::personality(ADDR_NO_RANDOMIZE);
  environ = environment;
  ::execvp(plan.program.c_str(), argv);
  give_up(report, Step::kExecute);
}

bool has_nul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

// Why the request cannot be carried out at all, or nothing.
const char* objection(const wire::SessionStart& start) {
  if (start.command_line && !start.argv.empty())
    return "it names both a command line and an argument list";
  if (has_nul(start.directory) || (start.command_line && has_nul(*start.command_line)) ||
      std::ranges::any_of(start.argv, has_nul))
    return "an argument holds a NUL byte";
  if (!start.user.empty() && !wire::is_user(start.user))
    return "its user is not NAME or NAME:GROUP";
  for (const auto& [name, value] : start.environment)
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value))
      return "an environment variable has an impossible name or value";
  return nullptr;
}

std::expected<Plan, wire::Failed> plan_for(const wire::SessionStart& start, const Space& space,
                                           const SessionGroup* group) {
  auto root = root_of_commands(space);
  if (!root) return failed(root.error());
  auto user = start.user.empty() ? User{} : look_up_user(*root, start.user);
  if (!user) return failed(kNotExecutable, user.error().message());
  Plan plan{.program = kShell,
            .arguments = {"bash"},
            .environment = session_environment(environ, start, *user, *root),
            .directory = start.directory.empty() ? user->home : start.directory,
            .directory_is_optional = start.directory.empty(),
            .has_terminal = start.terminal.has_value(),
            .user = std::move(*user),
            .space = &space,
            .group = group};
  if (start.command_line) {
    plan.arguments.insert(plan.arguments.end(), {"-c", "--", *start.command_line});
  } else if (!start.argv.empty()) {
    plan.program = start.argv.front();
    plan.arguments = start.argv;
  } else {
    plan.arguments.emplace_back("-l");
  }
  return plan;
}

wire::Failed explain(const Plan& plan, const Report& report) {
  std::string reason = ::strerror(report.error);
  if (report.step == Step::kSetUp)
    return {kCannot, "cannot prepare a process for the command: " + reason};
  if (report.step == Step::kSpace)
    return {kCannot, "cannot enter the namespaces of the session: " + reason};
  if (report.step == Step::kUser)
    return {kNotExecutable, wire::clipped("cannot become " + printable(plan.user.name) +
                                          " in the guest: " + reason)};
  if (report.step == Step::kDirectory)
    return {kNotExecutable, wire::clipped("cannot enter the directory " +
                                          printable(plan.directory) + " in the guest: " + reason)};
  bool missing = report.error == ENOENT || report.error == ENOTDIR;
  if (missing && plan.program.find('/') == std::string::npos) reason = "command not found";
  if (report.error == E2BIG) reason = why_too_long(plan.program, plan.arguments, plan.environment);
  return {missing ? kNotFound : kNotExecutable,
          wire::clipped("cannot run " + printable(plan.program) + " in the guest: " + reason)};
}

// In the space's own /dev, so that the terminal has a name there; a link that a session put in its
// way leads nowhere else.
Result<Fd> open_ptmx(const Space& space) {
  Fd master = open_in(space.root, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (!master) return fail_system("open", "a terminal", errno);
  return master;
}

// Opens the master and the other end of a new pseudo-terminal: `child` gets ours, `ends` the
// command's.
Result<> open_terminal(const wire::TerminalSize& size, const Space& space, Child& child) {
  auto opened = open_ptmx(space);
  if (!opened) return propagate(opened);
  auto* master = &*opened;
  int unlocked = 0;
  if (::ioctl(master->get(), TIOCSPTLCK, &unlocked) != 0)
    return fail_system("unlock", "a terminal", errno);
  // By its master and not by its path, which may not be mounted here.
  child.slave = Fd(::ioctl(master->get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!child.slave) return fail_system("open", "the other end of a terminal", errno);
  termios modes{};
  if (::tcgetattr(child.slave.get(), &modes) == 0) {
    modes.c_iflag |= IUTF8;
    ::tcsetattr(child.slave.get(), TCSANOW, &modes);
  }
  winsize window = window_size(size);
  ::ioctl(master->get(), TIOCSWINSZ, &window);
  auto second = duplicate(*master);
  if (!second) return propagate(second);
  child.has_terminal = true;
  child.input = std::move(*master);
  child.output = std::move(*second);
  return {};
}

// Three pipes: `child` gets our ends, `theirs` the command's.
Result<> open_pipes(Child& child, std::array<Fd, 3>& theirs) {
  std::array<Fd*, 3> ours = {&child.input, &child.output, &child.error};
  for (std::size_t i = 0; i < 3; ++i) {
    auto pipe = make_pipe();
    if (!pipe) return propagate(pipe);
    bool is_input = i == 0;
    *ours.at(i) = std::move(is_input ? pipe->second : pipe->first);
    theirs.at(i) = std::move(is_input ? pipe->first : pipe->second);
    if (auto set = set_nonblocking(*ours.at(i), true); !set) return propagate(set);
    // What it holds is counted as the command's memory.
    if (!is_input) ::fcntl(ours.at(i)->get(), F_SETPIPE_SZ, static_cast<int>(kOutputPipeBytes));
  }
  return {};
}

// fork(2), with the child in the plan's group from its first instruction on: unlike a move into the
// group later, that makes no other process of the machine wait.
pid_t fork_into_group(const Plan& plan) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  if (plan.group != nullptr) {
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(plan.group->directory().get());
  }
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

// Forks; nothing when the command is running.
Result<std::optional<Report>> launch(Plan& plan, Child& child) {
  if (auto adopted = adopt_for_children(*plan.space); !adopted) return propagate(adopted);
  // Nor is the new process to be looked into while it still holds what the agent does; execve(2)
  // lifts this, once its descriptors are closed.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return fail_system("protect", "the new process", errno);
  auto report = make_pipe();
  if (!report) return propagate(report);
  plan.report = report->second.get();
  auto argv = exec_list(plan.arguments);
  auto environment = exec_list(plan.environment);
  child.pid = fork_into_group(plan);
  if (child.pid < 0) return fail_system("start", "a process", errno);
  if (child.pid == 0) become_command(plan, argv.data(), environment.data());

  child.process = Fd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  int pidfd_errno = errno;
  report->second.reset();
  if (!child.process) {
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return fail_system("watch", "the command's process", pidfd_errno);
  }
  Report text{};
  auto n = read_full(report->first, std::as_writable_bytes(std::span(&text, 1)), "its report");
  if (!n || *n != sizeof text) return std::nullopt;
  ::waitpid(child.pid, nullptr, 0);
  return text;
}

}  // namespace

std::expected<Child, wire::Failed> start_child(const wire::SessionStart& start, const Space& space,
                                               const SessionGroup* group) {
  if (const char* reason = objection(start))
    return failed(kCannot, std::string("cannot start the session: ") + reason);
  auto planned = plan_for(start, space, group);
  if (!planned) return std::unexpected(std::move(planned).error());
  auto& plan = *planned;
  Child child;
  std::array<Fd, 3> theirs;
  if (auto opened =
          start.terminal ? open_terminal(*start.terminal, space, child) : open_pipes(child, theirs);
      !opened)
    return failed(opened.error());
  for (std::size_t i = 0; i < 3; ++i)
    plan.standard.at(i) = start.terminal ? child.slave.get() : theirs.at(i).get();

  auto report = launch(plan, child);
  if (!report) return failed(report.error());
  if (*report) return std::unexpected(explain(plan, **report));
  return child;
}

std::expected<Child, wire::Failed> start_program(const char* program, const Fd& connection,
                                                 const Space& space, const SessionGroup* group) {
  auto planned = plan_for({.argv = {program}}, space, group);
  if (!planned) return std::unexpected(std::move(planned).error());
  auto null = open_file("/dev/null", O_RDWR);
  if (!null) return failed(null.error());
  planned->standard = {connection.get(), null->get(), null->get()};
  Child child;
  auto report = launch(*planned, child);
  if (!report) return failed(report.error());
  if (*report) return std::unexpected(explain(*planned, **report));
  return child;
}

void resize(const Child& child, const wire::TerminalSize& size) {
  winsize window = window_size(size);
  if (child.has_terminal && child.input) ::ioctl(child.input.get(), TIOCSWINSZ, &window);
}

void send_signal(const Child& child, int number) {
  pid_t group = child.pid;
  if (child.has_terminal && child.input) {
    pid_t foreground = ::tcgetpgrp(child.input.get());
    if (foreground > 0) group = foreground;
  }
  ::kill(-group, number);
}

}  // namespace capsem::guest::pty_agent
