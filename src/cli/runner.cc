#include "cli/runner.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <utility>

#include "async/signal_reader.h"
#include "async/task_group.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/trial_boot.h"
#include "client/session.h"
#include "client/timeline.h"
#include "host/monitor.h"
#include "prepare/boot_files.h"
#include "vm/accelerator.h"

namespace capsem::cli {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kConsoleLines = 20;
constexpr std::chrono::milliseconds kEndLimit{1500};
// From the connection to the started command; an agent that keeps crashing never starts one.
constexpr std::chrono::seconds kStartLimit{30};

struct Prepared {
  prepare::BootFiles files;
  std::filesystem::path cache;
};

Result<Prepared> prepare_run(const RunOptions& options, const Signals& signals,
                             client::Timeline& timeline) {
  auto layout = prepare::find_layout();
  if (!layout) return propagate(layout);
  auto on_step = [&timeline](std::string name, Clock::time_point begin, Clock::time_point end) {
    timeline.add(std::move(name), begin, end);
  };
  TrialBoot trial(layout->cache);
  auto files = options.initrd.empty()
                   ? prepare::prepare_boot_files(*layout, options.pack, trial, on_step, signals)
                   : prepare::open_boot_files(*layout, options.initrd, on_step);
  if (!files) return propagate(files);
  return Prepared{std::move(*files), layout->cache};
}

class Runner {
 public:
  Runner(const RunOptions& options, const Signals& signals, async::SignalReader boot_signals,
         client::Timeline& timeline, asio::io_context& loop)
      : options_(options),
        signals_(signals),
        boot_signals_(std::move(boot_signals)),
        timeline_(timeline),
        loop_(loop),
        tasks_(loop.get_executor()) {}

  // Runs the loop until the command has ended or a signal ended us; returns the exit status.
  int run(const Prepared& prepared) {
    tasks_.spawn(end_on_signal());
    asio::co_spawn(loop_, main(prepared), [this](const std::exception_ptr& thrown, int status) {
      if (thrown) std::rethrow_exception(thrown);
      status_ = status;
      loop_.stop();
    });
    loop_.run();
    return status_;
  }

 private:
  Task<int> main(const Prepared& prepared) {
    auto query = accelerator_query(prepared);
    if (!query) co_return complain(query.error());
    auto probe_begin = Clock::now();
    auto verdict = co_await vm::choose_accelerator(loop_.get_executor(), std::move(*query));
    if (!verdict) co_return complain(verdict.error());
    if (verdict->fresh && !verdict->reason.empty()) say(verdict->reason);
    timeline_.add("accelerator", probe_begin, Clock::now());

    auto started = Clock::now();
    auto monitor = host::Monitor::start(loop_.get_executor(), monitor_options(prepared, *verdict));
    if (!monitor) co_return complain(monitor.error());
    timeline_.add("start QEMU", started, Clock::now());
    started = Clock::now();
    auto hello = co_await monitor->boot();
    if (!hello) {
      print_console(*monitor, hello.error());
      co_return complain(hello.error());
    }
    timeline_.add_guest(*hello, started, Clock::now());
    int status = co_await serve(*monitor);
    auto end_begin = Clock::now();
    auto ended = co_await monitor->end();
    timeline_.add("end the VM", end_begin, Clock::now());
    if (!ended) co_return complain(ended.error());
    co_return status;
  }

  // Until the session takes the signals over they end the VM: what the loop holds goes with it.
  Task<> end_on_signal() {
    auto number = co_await boot_signals_.next();
    if (!number) co_return;
    status_ = kSignalBase + *number;
    loop_.stop();
  }

  Result<vm::AcceleratorQuery> accelerator_query(const Prepared& prepared) const {
    auto choice = vm::parse_accelerator(options_.accelerator);
    if (!choice) return propagate(choice);
    vm::AcceleratorQuery query;
    query.choice = *choice;
    query.cache_directory = prepared.cache;
    return query;
  }

  host::MonitorOptions monitor_options(const Prepared& prepared, const vm::Verdict& verdict) {
    host::MonitorOptions options;
    options.machine.accelerator = verdict.accelerator;
    options.machine.memory_bytes = std::uint64_t{options_.memory_mib} << 20;
    options.machine.cpus = options_.cpus;
    options.machine.kernel = &prepared.files.assets.kernel;
    options.machine.initrd = &prepared.files.initrd;
    options.machine.rootfs = &prepared.files.assets.rootfs;
    options.boot_limit = std::chrono::seconds(options_.boot_limit_seconds);
    options.on_event = [this](const std::string& line) { tell(line); };
    return options;
  }

  // A line while the terminal is the guest's would end up in the middle of its screen.
  void tell(const std::string& line) {
    if (attached_)
      held_back_.push_back(line);
    else
      warn(line);
  }

  static void print_console(const host::Monitor& monitor, const Error& error) {
    if (error.kind() != ErrorKind::kTimeout) return;
    auto lines = monitor.console_tail(kConsoleLines);
    say(lines.empty() ? "the guest's console is empty" : "the guest's console ends with:");
    for (const auto& line : lines) say("| " + line);
  }

  Task<int> serve(host::Monitor& monitor) {
    auto stream = co_await monitor.open_session();
    if (!stream) co_return co_await explain(monitor, stream.error());
    auto request = session_request();
    if (options_.privileged)
      warn(
          "this session is privileged: it can change everything in the guest, its programs and "
          "services too");
    std::optional<client::Terminal> terminal;
    if (wants_terminal()) {
      auto attached = client::Terminal::attach(STDIN_FILENO, STDOUT_FILENO);
      if (!attached) co_return complain(attached.error());
      terminal.emplace(std::move(*attached));
      request.terminal = &*terminal;
      attached_ = true;
    }
    boot_signals_.cancel();
    asio::steady_timer start_limit(loop_, kStartLimit);
    start_limit.async_wait([&stream](const boost::system::error_code& error) {
      if (!error) (*stream)->reset();
    });
    request.on_started = [this, &start_limit] {
      start_limit.cancel();
      timeline_.mark("command started", Clock::now());
    };
    auto begin = Clock::now();
    auto end = co_await client::run_session(**stream, std::move(request));
    timeline_.add("session", begin, Clock::now());
    terminal.reset();
    attached_ = false;
    for (const auto& line : held_back_) warn(line);
    if (!end) co_return co_await explain(monitor, end.error());
    if (!end->message.empty()) say(end->message);
    co_return end->status.shell_code();
  }

  bool wants_terminal() const {
    if (options_.terminal) return *options_.terminal;
    // A command that a shell started in the background does without, as it would be stopped.
    bool in_background = !options_.command.empty() && !client::in_foreground(STDIN_FILENO);
    return !options_.no_stdin && !in_background && ::isatty(STDIN_FILENO) == 1 &&
           ::isatty(STDOUT_FILENO) == 1;
  }

  client::SessionRequest session_request() {
    client::SessionRequest request;
    if (options_.command.size() == 1)
      request.start.command_line = options_.command.front();
    else
      request.start.argv = options_.command;
    request.start.privileged = options_.privileged;
    request.on_first_output = [this] { timeline_.mark("first output", Clock::now()); };
    request.signals = &signals_;
    using Seconds = std::chrono::duration<double>;
    auto rounded = [](double seconds) {
      return std::chrono::ceil<std::chrono::milliseconds>(Seconds(seconds));
    };
    request.grace = rounded(options_.grace_seconds);
    if (options_.time_limit_seconds) request.time_limit = rounded(*options_.time_limit_seconds);
    if (options_.no_stdin) request.standard[0] = -1;
    return request;
  }

  // A session that broke off usually did so because the VM ended; then that is what to say.
  Task<int> explain(host::Monitor& monitor, const Error& error) {
    if (error.kind() != ErrorKind::kClosed) co_return complain(error);
    auto ended = co_await monitor.ended_by_itself(kEndLimit);
    if (ended.how == host::Monitor::End::kRunning) co_return complain(error);
    if (ended.how == host::Monitor::End::kRebooted)
      co_return complain(Error("go on with", "the session", "the guest was rebooted",
                               "its state is gone; run capsem again"));
    if (ended.how == host::Monitor::End::kFailed)
      co_return complain(Error("go on with", "the session", "the VM ended: " + ended.reason));
    if (options_.command.empty()) co_return kSuccess;
    co_return complain(
        Error("go on with", "the session", "the guest was switched off before the command ended"));
  }

  static int complain(const Error& error) {
    say(error.message());
    return kRunTrouble;
  }

  const RunOptions& options_;
  const Signals& signals_;
  async::SignalReader boot_signals_;
  client::Timeline& timeline_;
  asio::io_context& loop_;
  async::TaskGroup tasks_;
  int status_ = kRunTrouble;
  bool attached_ = false;
  std::vector<std::string> held_back_;
};

}  // namespace

int run_in_vm(const RunOptions& options, const Signals& signals) {
  auto begin = Clock::now();
  client::Timeline timeline(begin);
  auto prepared = prepare_run(options, signals, timeline);
  if (!prepared) return report(prepared.error(), kRunTrouble);
  int status = kRunTrouble;
  {
    asio::io_context loop(1);
    auto held = signals.hold();
    if (!held) return report(held.error(), kRunTrouble);
    auto reader = async::SignalReader::create(loop.get_executor(), std::move(*held));
    if (!reader) return report(reader.error(), kRunTrouble);
    status = Runner(options, signals, std::move(*reader), timeline, loop).run(*prepared);
  }
  timeline.add("total", begin, Clock::now());
  if (options.timing) {
    // There is nowhere to report a failure of stderr to.
    [[maybe_unused]] auto printed = print(timeline.table(), STDERR_FILENO);
  }
  return status;
}

}  // namespace capsem::cli
