#include "cli/runner.h"

#include <signal.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <utility>

#include "assets/inputs.h"
#include "base/log.h"
#include "cli/exit_status.h"
#include "host/monitor.h"
#include "host/session/session.h"
#include "host/timeline.h"
#include "manifest/parse.h"
#include "vm/accelerator.h"

namespace capsem::cli {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using host::session::SignalAction;

constexpr std::size_t kConsoleLines = 20;
constexpr std::chrono::milliseconds kEndLimit{1500};
// From the connection to the started command; an agent that keeps crashing never starts one.
constexpr std::chrono::seconds kStartLimit{30};

// What is ready before a VM starts: the opened files that make it up.
struct Prepared {
  assets::Assets assets;
  Fd image;
  std::filesystem::path cache;
};

void warn_of_stale_rootfs(const Layout& layout, const manifest::Manifest& manifest,
                          const assets::Assets& assets) {
  if (!layout.checkout) return;
  auto stale = assets::stale_inputs(
      assets.index, {.config = layout.config, .manifest = manifest, .sources = layout.sources});
  if (!stale) return warn(stale.error().message());
  if (stale->empty()) return;
  auto more = stale->size() > 1 ? " and " + std::to_string(stale->size() - 1) + " more" : "";
  warn("the rootfs is older than what it is made from (" + stale->front() + more +
       "); run 'capsem build-assets'; booting it as it is");
}

Result<Prepared> prepare_ready(const RunOptions& options, const Layout& layout,
                               host::Timeline& timeline) {
  auto begin = Clock::now();
  auto image = open_ready_image(options.initrd);
  if (!image) return propagate(image);
  auto checked = Clock::now();
  timeline.add("look at the initrd", begin, checked);
  auto assets = assets::open_assets(layout.assets, layout.cache);
  if (!assets) return propagate(assets);
  timeline.add("open assets", checked, Clock::now());
  return Prepared{std::move(*assets), std::move(*image), layout.cache};
}

Result<Prepared> prepare(const RunOptions& options, host::Timeline& timeline) {
  auto begin = Clock::now();
  auto layout = find_layout();
  if (!layout) return propagate(layout);
  if (!options.initrd.empty()) return prepare_ready(options, *layout, timeline);
  if (auto built = build_guest_programs(*layout); !built) return propagate(built);
  auto built = Clock::now();
  timeline.add("build", begin, built);

  auto manifest = manifest::load(layout->guest_toml);
  if (!manifest) return propagate(manifest);
  auto assets = assets::open_assets(layout->assets, layout->cache);
  if (!assets) return propagate(assets);
  auto opened = Clock::now();
  timeline.add("open assets", built, opened);

  auto packed = pack_image(*layout, *manifest, *assets, options.pack);
  if (!packed) return propagate(packed);
  auto packed_at = Clock::now();
  timeline.add("repack", opened, packed_at);
  warn_of_stale_rootfs(*layout, *manifest, *assets);
  timeline.add("look for a stale rootfs", packed_at, Clock::now());
  return Prepared{std::move(*assets), std::move(packed->image), layout->cache};
}

class Runner {
 public:
  Runner(const RunOptions& options, host::Timeline& timeline, asio::io_context& loop)
      : options_(options), timeline_(timeline), loop_(loop), signals_(loop) {}

  // Runs the loop until the command has ended or a signal ended us; returns the exit status.
  int run(const Prepared& prepared) {
    // Until the session takes them over, these end the VM: what the loop holds goes with it.
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) signals_.add(signal);
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      status_ = kSignalBase + signal;
      loop_.stop();
    });
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
    options.machine.kernel = &prepared.assets.kernel;
    options.machine.initrd = &prepared.image;
    options.machine.rootfs = &prepared.assets.rootfs;
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
    std::optional<host::session::Terminal> terminal;
    if (wants_terminal()) {
      auto attached = host::session::Terminal::attach(STDIN_FILENO);
      if (!attached) co_return complain(attached.error());
      terminal.emplace(std::move(*attached));
      request.terminal = &*terminal;
      attached_ = true;
    }
    signals_.cancel();
    signals_.clear();
    asio::steady_timer start_limit(loop_, kStartLimit);
    start_limit.async_wait([&stream](const boost::system::error_code& error) {
      if (!error) (*stream)->reset();
    });
    request.on_started = [this, &start_limit] {
      start_limit.cancel();
      timeline_.mark("command started", Clock::now());
    };
    auto begin = Clock::now();
    auto end = co_await host::session::run_session(**stream, std::move(request));
    timeline_.add("session", begin, Clock::now());
    terminal.reset();
    attached_ = false;
    for (const auto& line : held_back_) warn(line);
    if (!end) co_return co_await explain(monitor, end.error());
    if (!end->complaint.empty()) say(end->complaint);
    if (end->out_of_memory_kills > 0)
      warn("the guest ran out of memory, and its kernel ended " +
           std::to_string(end->out_of_memory_kills) +
           (end->out_of_memory_kills == 1 ? " process" : " processes") +
           " of the session; give it more than " + std::to_string(options_.memory_mib) +
           " MiB with --memory");
    co_return end->status.shell_code();
  }

  bool wants_terminal() const {
    if (options_.terminal) return *options_.terminal;
    return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  }

  host::session::SessionRequest session_request() {
    host::session::SessionRequest request;
    if (options_.command.size() == 1)
      request.start.command_line = options_.command.front();
    else
      request.start.argv = options_.command;
    request.start.privileged = options_.privileged;
    request.on_first_output = [this] { timeline_.mark("first output", Clock::now()); };
    if (!wants_terminal())
      request.on_signal = [this](int number) {
        bool ends = number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
        if (!ends) return SignalAction::kForward;
        ending_signal_ = number;
        return std::exchange(asked_to_end_, true) ? SignalAction::kEnd : SignalAction::kForward;
      };
    return request;
  }

  // A session that broke off usually did so because the VM ended; then that is what to say.
  Task<int> explain(host::Monitor& monitor, const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) co_return kSignalBase + ending_signal_;
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
  host::Timeline& timeline_;
  asio::io_context& loop_;
  asio::signal_set signals_;
  int status_ = kRunTrouble;
  int ending_signal_ = SIGTERM;
  bool asked_to_end_ = false;
  bool attached_ = false;
  std::vector<std::string> held_back_;
};

}  // namespace

int run_in_vm(const RunOptions& options) {
  auto begin = Clock::now();
  host::Timeline timeline(begin);
  auto prepared = prepare(options, timeline);
  if (!prepared) {
    if (prepared.error().kind() == ErrorKind::kInterrupted) return kInterrupted;
    say(prepared.error().message());
    return kRunTrouble;
  }
  int status = kRunTrouble;
  {
    asio::io_context loop(1);
    status = Runner(options, timeline, loop).run(*prepared);
  }
  timeline.add("total", begin, Clock::now());
  if (options.timing) {
    auto table = timeline.table();
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, table.data(), table.size());
  }
  return status;
}

}  // namespace capsem::cli
