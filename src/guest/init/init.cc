#include "guest/init/init.h"

#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>

#include "base/log.h"
#include "guest/end_signals.h"
#include "guest/init/boot.h"
#include "guest/init/confine.h"
#include "guest/init/console.h"
#include "guest/init/control_link.h"
#include "guest/init/deploy_port.h"
#include "guest/init/network.h"
#include "guest/init/redeploy.h"
#include "guest/init/trust.h"
#include "guest/init/unmount.h"
#include "guest/init/vsock.h"
#include "guest/paths.h"
#include "wire/ports.h"

namespace capsem::guest::init {
namespace {

constexpr std::chrono::seconds kHeartbeat{5};
// How long processes have between the request to end and being killed, where the host does not say.
constexpr std::chrono::milliseconds kGrace{1000};
// How long killed processes may take to be gone. One that the kernel holds up takes longer.
constexpr std::chrono::milliseconds kKillLimit{2000};

[[noreturn]] void fail_boot(const Error& error) {
  log_failure(error.message());
  end_machine(wire::ShutdownAction::kPoweroff);
}

Result<Fd> open_signals() {
  sigset_t handled;
  sigemptyset(&handled);
  sigaddset(&handled, SIGCHLD);
  for (const auto& row : kEndSignals) sigaddset(&handled, row.signal);
  ::sigprocmask(SIG_SETMASK, &handled, nullptr);
  Fd signals(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return fail_system("open", "a signalfd", errno);
  return signals;
}

class Init {
 public:
  explicit Init(Fd signals)
      : signals_(std::move(signals)),
        boot_{.timeline = {},
              .manifest = {},
              .deployment = {},
              .file_system = {},
              .entry_mount = std::nullopt,
              .supervisor = Supervisor([this](const std::string& service,
                                              const std::string& text) { report(service, text); },
                                       confine_service),
              .network = {}},
        link_([] { return connect_to_host(wire::kControlPort.number); },
              [this] { return hello(); }) {}

  [[noreturn]] void run() {
    if (auto booted = run_steps(boot_); !booted) fail_boot(booted.error());
    if (auto opened = open_deploy_port(); !opened) fail_boot(opened.error());
    if (auto greeted = greet(); !greeted) fail_boot(greeted.error());
    while (!end_) wait_and_handle(Clock::time_point::max());
    end();
  }

 private:
  Result<> open_deploy_port() {
    auto listener = listen_on(wire::kDeployPort.number);
    if (!listener) return propagate(listener);
    // One that has gone before it is accepted must not hold PID 1 up.
    if (auto set = set_nonblocking(*listener, true); !set) return set;
    deploys_.emplace(std::move(*listener), boot_.deployment.init);
    return {};
  }

  void apply_deploy() {
    deploys_->read_line([this](const Fd& file_system) -> Result<> {
      auto redeployment = redeploy(boot_, file_system);
      if (!redeployment) return propagate(redeployment);
      redeployment_ = std::move(*redeployment);
      log("deploy: the entries were replaced");
      link_.renew(Clock::now());
      return {};
    });
  }

  Result<> greet() {
    auto now = Clock::now();
    if (auto opened = link_.open(now); !opened) return opened;
    next_heartbeat_ = now + kHeartbeat;
    for (const auto& problem : boot_.deployment.problems) report("deploy", problem);
    return {};
  }

  wire::Hello hello() const {
    utsname kernel{};
    ::uname(&kernel);
    return {.protocol = wire::kProtocol,
            .steps = boot_.timeline.steps(),
            .entries = boot_.deployment.entries,
            .kernel_release = kernel.release,
            .uptime_us = uptime_us(),
            .net_token = boot_.network.token};
  }

  // To the console, and to the host when it can be reached.
  void report(const std::string& name, const std::string& text) {
    log(name + ": " + text);
    link_.send(wire::ServiceEvent{.name = name, .text = wire::clipped(text)}, Clock::now());
  }

  void wait_and_handle(Clock::time_point limit) {
    auto wake = std::min(next_heartbeat_, limit);
    // Once the machine ends, neither is worth a wait.
    if (!end_)
      for (auto due : {boot_.supervisor.next_start(), link_.next_open()})
        if (due) wake = std::min(wake, *due);
    auto deploys = end_ ? std::array{-1, -1} : deploys_->fds();
    std::array waiting = {pollfd{signals_.get(), POLLIN, 0}, pollfd{link_.fd(), POLLIN, 0},
                          pollfd{deploys[0], POLLIN, 0}, pollfd{deploys[1], POLLIN, 0}};
    wait_for(waiting, wake);
    if (waiting[0].revents != 0) handle_signals();
    if (waiting[1].revents != 0) handle_host();
    if (waiting[2].revents != 0) deploys_->accept();
    if (waiting[3].revents != 0) apply_deploy();
    auto now = Clock::now();
    // Why it failed is the same each time, and was said when the connection was lost.
    if (auto due = link_.next_open(); due && now >= *due && !end_)
      if (link_.open(now)) log("the host is connected again");
    boot_.supervisor.start_due(now);
    if (deploys_->applied() && boot_.supervisor.settled())
      deploys_->finish(done_of(boot_, redeployment_));
    if (now < next_heartbeat_) return;
    next_heartbeat_ = now + kHeartbeat;
    link_.send(wire::Heartbeat{.uptime_us = uptime_us()}, now);
  }

  static void wait_for(std::span<pollfd> waiting, Clock::time_point until) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    int n = ::poll(waiting.data(), waiting.size(), static_cast<int>(std::max<long>(left, 0)));
    if (n >= 0 || errno == EINTR) return;
    // PID 1 has to go on, whatever is wrong; without the pause it would do so all the time.
    log(Error::system("wait for", "signals and the host", errno).message());
    timespec pause{.tv_sec = 1, .tv_nsec = 0};
    ::nanosleep(&pause, nullptr);
    // Reads of either do not wait when there is nothing.
    for (auto& one : waiting) one.revents = one.fd < 0 ? 0 : POLLIN;
  }

  void handle_signals() {
    signalfd_siginfo signal{};
    while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
      for (const auto& row : kEndSignals)
        if (static_cast<int>(signal.ssi_signo) == row.signal) begin_end(row.action, kGrace);
    }
    reap();
  }

  void reap() {
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      ExitStatus ended{.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0};
      boot_.supervisor.reaped(pid, ended, Clock::now());
    }
    alone_ = pid < 0 && errno == ECHILD;
  }

  // The first request says what becomes of the machine; a later one may make its end an earlier
  // one.
  void begin_end(wire::ShutdownAction action, std::chrono::milliseconds grace) {
    auto until = Clock::now() + grace;
    if (!end_) end_ = End{action, until};
    end_->kill_at = std::min(end_->kill_at, until);
  }

  void handle_host() {
    auto received = link_.receive(Clock::now(), [this](const wire::HostControl& message) {
      if (const auto* shutdown = std::get_if<wire::Shutdown>(&message))
        begin_end(shutdown->action, std::chrono::milliseconds(shutdown->grace_ms));
      if (const auto* configuration = std::get_if<wire::Configuration>(&message)) {
        auto named = set_hostname(configuration->hostname);
        if (!named) report("configuration", named.error().message());
        auto trusted = configuration->authority.empty()
                           ? Result<>()
                           : trust_authority(kSessionRoot, configuration->authority);
        if (!trusted) report("configuration", trusted.error().message());
        // It says that all of this is done.
        link_.send(wire::Heartbeat{.uptime_us = uptime_us()}, Clock::now());
      }
    });
    if (!received) log(received.error().message());
  }

  // Asks every process to end, kills what remains, and ends the machine.
  [[noreturn]] void end() {
    log("the machine ends; its processes are asked to");
    boot_.supervisor.stop();
    ::kill(-1, SIGTERM);
    ::kill(-1, SIGCONT);
    reap();
    while (!alone_ && Clock::now() < end_->kill_at) wait_and_handle(end_->kill_at);
    if (!alone_) log("processes that did not end are killed");
    ::kill(-1, SIGKILL);
    reap();
    for (auto limit = Clock::now() + kKillLimit; !alone_ && Clock::now() < limit;)
      wait_and_handle(limit);
    ::sync();
    unmount_all([](const Error& error) { log(error.message()); });
    end_machine(end_->action);
  }

  struct End {
    wire::ShutdownAction action;
    Clock::time_point kill_at;  // what has not ended by then
  };

  Fd signals_;
  Boot boot_;
  ControlLink link_;
  Clock::time_point next_heartbeat_;
  std::optional<DeployPort> deploys_;
  Redeployment redeployment_;  // the last
  std::optional<End> end_;
  bool alone_ = false;  // no process is left, for every orphan becomes a child of PID 1
};

}  // namespace

int run() {
  if (::getpid() != 1) {
    say("capsem-init is PID 1 of a capsem guest and does nothing anywhere else");
    return 1;
  }
  handle_faults();
  ::reboot(RB_DISABLE_CAD);
  auto signals = open_signals();
  if (!signals) fail_boot(signals.error());
  Init(std::move(*signals)).run();
}

}  // namespace capsem::guest::init
