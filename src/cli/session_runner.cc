#include "cli/session_runner.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "async/signal_reader.h"
#include "async/task_group.h"
#include "base/log.h"
#include "cli/asker.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "client/connection.h"
#include "client/messages.h"
#include "client/session.h"
#include "client/session_list.h"
#include "prepare/layout.h"

namespace capsem::cli {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// How soon a VM whose session broke off is seen to have ended.
constexpr std::chrono::milliseconds kEndLimit{1500};
// From the connection to the started command; an agent that keeps crashing never starts one.
constexpr std::chrono::seconds kStartLimit{30};
// A person at a terminal should not lose it to a connection; a pipe's reader is told at once.
constexpr std::chrono::seconds kOutlive{10};

class Runner {
 public:
  Runner(const SessionRun& run, const Signals& signals, async::SignalReader boot_signals,
         asio::io_context& loop)
      : options_(run.options),
        attach_(run.attach),
        vm_(run.vm),
        signals_(signals),
        boot_signals_(std::move(boot_signals)),
        timeline_(run.timeline),
        monitor_(run.monitor),
        loop_(loop),
        messages_(loop.get_executor(), STDERR_FILENO),
        tasks_(loop.get_executor()) {}

  // Runs the loop until the command has ended or a signal ended us; returns the exit status.
  int run() {
    tasks_.spawn(end_on_signal(boot_signals_));
    tasks_.spawn(messages_.run());
    asio::co_spawn(loop_, main(), [this](const std::exception_ptr& thrown, int status) {
      if (thrown) std::rethrow_exception(thrown);
      status_ = status;
      loop_.stop();
    });
    loop_.run();
    return status_;
  }

  // What is left to be told when the VM has been ended.
  std::string rest() const { return messages_.rest(); }
  bool rebooted() const { return rebooted_; }
  bool boots_again() const { return boots_again_; }

 private:
  Task<int> main() {
    if (vm_.started_here) {
      auto events = connect();
      if (!events) co_return report_lost_monitor(events.error());
      tasks_.spawn(follow_events(std::move(*events)));
    }
    int status = co_await open_and_serve();
    tasks_.cancel();
    co_await tasks_.join();
    co_return status;
  }

  // Until the session takes the signals over they end us, and a VM without a name with us, by its
  // lease.
  Task<> end_on_signal(async::SignalReader& signals) {
    auto number = co_await signals.next();
    if (!number) co_return;
    status_ = kSignalBase + *number;
    if (!vm_.name.empty() && !session_ended_)
      messages_.say("VM '" + vm_.name + "' goes on; 'capsem stop " + vm_.name + "' ends it");
    loop_.stop();
  }

  Result<client::Connection> connect() {
    auto socket = monitor_.connect();
    if (!socket) return propagate(socket);
    return client::Connection::create(loop_.get_executor(), std::move(*socket));
  }

  Task<> follow_events(client::Connection connection) {
    auto on_event = [this](const api::Event& event) {
      if (event.dropped > 0)
        messages_.warn(std::to_string(event.dropped) + " more messages of the guest are left out");
      if (event.kind == api::EventKind::kService) last_of_service_ = event.text;
      bool told = event.kind != api::EventKind::kState &&
                  (event.kind != api::EventKind::kDenied || vm_.show_denied);
      if (told) messages_.warn(prepare::in_words_of_here(event.text));
    };
    // A monitor that goes away is noticed by the session.
    auto followed = co_await connection.follow_events(on_event);
    static_cast<void>(followed);
  }

  Task<int> open_and_serve() {
    auto connection = connect();
    if (!connection && !vm_.started_here) co_return report(connection.error());
    if (!connection) co_return report_lost_monitor(connection.error());
    // A monitor that cannot say it cannot open a session either, which says why.
    if (auto vm = co_await connection->vm()) variables_ = std::move(vm->environment);
    std::optional<client::Refusal> refusal;
    auto stream = co_await connection->open_session(refusal);
    if (!stream && refusal) {
      tell_console(*refusal);
      co_return co_await explain(refusal->error);
    }
    if (!stream) co_return report_lost_monitor(stream.error());
    if (vm_.timing) co_await add_to_timeline();
    co_return co_await serve(**stream);
  }

  // For a session whose connection was lost: another one, while the VM runs.
  Task<Result<std::unique_ptr<async::Stream>>> reopen() {
    auto connection = connect();
    if (!connection) co_return propagate(connection);
    auto vm = co_await connection->vm();
    if (!vm) co_return propagate(vm);
    if (vm->state != api::State::kRunning)
      co_return fail("resume", "the session", "the VM has ended", "", ErrorKind::kClosed);
    std::optional<client::Refusal> refusal;
    auto stream = co_await connection->open_session(refusal);
    // Not final: the guest may take the next one.
    if (refusal) co_return fail("resume", "the session", refusal->error.message());
    co_return stream;
  }

  void tell_console(const client::Refusal& refusal) {
    if (refusal.error.kind() != ErrorKind::kTimeout) return;
    messages_.say(refusal.console.empty() ? "the guest's console is empty"
                                          : "the guest's console ends with:");
    for (const auto& line : refusal.console) messages_.say("| " + line);
  }

  Task<> add_to_timeline() {
    auto connection = connect();
    if (!connection) co_return;
    auto vm = co_await connection->vm();
    if (!vm) co_return messages_.warn(vm.error().message());
    for (const auto& span : vm->timeline) timeline_.add(span);
    if (vm->guest) timeline_.add_guest(*vm->guest);
  }

  // Resets the stream when the command has not started in time.
  Task<> watch_start(async::Stream& stream) {
    asio::steady_timer timer(co_await asio::this_coro::executor, kStartLimit);
    co_await timer.async_wait(asio::use_awaitable);
    not_started_ = true;
    stream.reset();
  }

  // With what was last heard of the guest's services, of which the agent is one.
  Error start_error() const {
    auto reason = "the guest did not within " + std::to_string(kStartLimit.count()) + " s";
    if (!last_of_service_.empty()) reason += " (" + last_of_service_ + ")";
    return {"start", "the command", std::move(reason), "run capsem again", ErrorKind::kTimeout};
  }

  Task<int> serve(async::Stream& stream) {
    auto request = session_request();
    if (options_.privileged)
      messages_.warn(
          "this session is privileged: it can change everything in the guest, its programs and "
          "services too");
    std::optional<client::Terminal> terminal;
    if (wants_terminal(options_)) {
      auto attached = client::Terminal::attach(STDIN_FILENO, STDOUT_FILENO);
      if (!attached) co_return report(attached.error());
      terminal.emplace(std::move(*attached));
      request.terminal = &*terminal;
      request.outlive = kOutlive;
      request.reopen = [this] { return reopen(); };
      if (auto made = make_detachable(request); !made) co_return report(made.error());
      messages_.hold(true);
      if (vm_.ask) request.prompt = ask();
    }
    boot_signals_.cancel();
    async::TaskGroup start(loop_.get_executor());
    start.spawn(watch_start(stream));
    request.on_started = [this, &start] {
      start.cancel();
      timeline_.mark("command started", Clock::now());
    };
    auto begin = Clock::now();
    auto end = co_await client::run_session(stream, std::move(request));
    timeline_.add("session", begin, Clock::now());
    start.cancel();
    co_await start.join();
    terminal.reset();
    messages_.hold(false);
    if (!end && not_started_) co_return report(start_error());
    if (!end) co_return co_await explain(end.error());
    if (!end->message.empty()) messages_.say(end->message);
    if (!end->detached.empty())
      messages_.say("the session goes on; 'capsem attach " + vm_.name + " " +
                    client::short_id(end->detached) + "' comes back to it");
    if (end->out_of_memory_kills > 0)
      messages_.warn("the guest ran out of memory, and its kernel ended " +
                     std::to_string(end->out_of_memory_kills) +
                     (end->out_of_memory_kills == 1 ? " process" : " processes") +
                     " of the session; give it more than " + std::to_string(vm_.memory_mib) +
                     " MiB with --memory");
    co_return end->status.shell_code();
  }

  client::Prompt* ask() {
    asker_ = std::make_unique<Asker>(
        [this] { return connect(); },
        [name = vm_.name](const std::string& rule) { return keep_rule(name, rule); });
    tasks_.spawn(asker_->listen());
    tasks_.spawn(asker_->run());
    return &asker_->prompt();
  }

  // Only a VM that goes on has sessions that do.
  Result<> make_detachable(client::SessionRequest& request) const {
    if (vm_.name.empty()) return {};
    auto keys = client::DetachKeys::parse(options_.detach_keys);
    if (!keys) return propagate(keys);
    request.detach_keys = std::move(*keys);
    request.attach = attach_;
    request.start.detachable = true;
    return {};
  }

  client::SessionRequest session_request() {
    client::SessionRequest request;
    request.start = session_start(options_);
    for (const auto& [name, value] : variables_) request.start.environment.try_emplace(name, value);
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
  Task<int> explain(const Error& error) {
    if (error.kind() != ErrorKind::kClosed) co_return report(error);
    auto connection = connect();
    if (!connection) co_return report_lost_monitor(error);
    session_ended_ = true;
    // A guest that ends in order may take its time, which the user may cut short.
    if (auto held = signals_.hold(); held)
      if (auto reader = async::SignalReader::create(loop_.get_executor(), std::move(*held))) {
        end_signals_.emplace(std::move(*reader));
        tasks_.spawn(end_on_signal(*end_signals_));
      }
    auto vm = co_await connection->vm_at_end(kEndLimit);
    if (!vm && vm.error().kind() == ErrorKind::kTimeout) co_return report(error);
    if (!vm) co_return report_lost_monitor(vm.error());
    if (!vm->end) co_return report(error);
    const api::End& end = *vm->end;
    // A command is not run twice: what it had done is gone, or was done.
    rebooted_ = end.kind == api::EndKind::kRebooted;
    boots_again_ =
        rebooted_ && attach_.empty() && options_.command.empty() && wants_terminal(options_);
    if (boots_again_) co_return kSuccess;
    if (rebooted_)
      co_return report(Error("go on with", "the session", "the guest was rebooted",
                             vm_.name.empty() ? "its state is gone; " + again()
                                              : "VM '" + vm_.name + "' boots again"));
    if (end.error)
      co_return report(Error("go on with", "the session", "the VM ended: " + end.error->message()));
    if (end.kind == api::EndKind::kStopped)
      co_return report(Error("go on with", "the session", "the VM was stopped", again()));
    if (options_.command.empty()) co_return kSuccess;
    co_return report(
        Error("go on with", "the session", "the guest was switched off before the command ended"));
  }

  int report_lost_monitor(const Error& error) {
    if (error.kind() != ErrorKind::kClosed) return report(error);
    return report(
        Error("go on with", "the VM", "its monitor is gone: " + monitor_.end_in_words(), again()));
  }

  std::string again() const {
    return vm_.name.empty() ? "run capsem again" : "start it with 'capsem start " + vm_.name + "'";
  }

  int report(const Error& error) {
    messages_.say(prepare::in_words_of_here(error.message()));
    return exit_status(error, kRunTrouble);
  }

  const SessionOptions& options_;
  const std::string attach_;
  const VmOfSession& vm_;
  const Signals& signals_;
  async::SignalReader boot_signals_;
  std::optional<async::SignalReader> end_signals_;  // when the session is over
  client::Timeline& timeline_;
  client::MonitorLink& monitor_;
  asio::io_context& loop_;
  client::Messages messages_;
  std::unique_ptr<Asker> asker_;  // outlives its tasks
  async::TaskGroup tasks_;
  int status_ = kRunTrouble;
  bool rebooted_ = false;
  bool boots_again_ = false;
  bool session_ended_ = false;                    // and the VM's end is waited for
  bool not_started_ = false;                      // the command, within kStartLimit
  std::map<std::string, std::string> variables_;  // that the VM has for its sessions
  std::string last_of_service_;                   // what was last said of one
};

}  // namespace

const SessionOptions& RemainingSession::options() {
  using Seconds = std::chrono::duration<double>;
  if (options_.time_limit_seconds && begin_)
    options_.time_limit_seconds =
        std::max(*options_.time_limit_seconds - Seconds(Clock::now() - *begin_).count(), 0.001);
  begin_ = Clock::now();
  return options_;
}

void print_rest(const SessionRunEnd& end) {
  // There is nowhere to report a failure of stderr to.
  [[maybe_unused]] auto printed = print(end.rest, STDERR_FILENO);
  if (end.boots_again) say("the guest was rebooted");
}

Result<SessionRunEnd> run_session_in_vm(const SessionRun& run, const Signals& signals) {
  asio::io_context loop(1);
  auto held = signals.hold();
  if (!held) return propagate(held);
  auto reader = async::SignalReader::create(loop.get_executor(), std::move(*held));
  if (!reader) return propagate(reader);
  Runner runner(run, signals, std::move(*reader), loop);
  int status = runner.run();
  return SessionRunEnd{.status = status,
                       .rebooted = runner.rebooted(),
                       .boots_again = runner.boots_again(),
                       .rest = runner.rest()};
}

}  // namespace capsem::cli
