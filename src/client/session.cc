#include "client/session.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "base/fd.h"
#include "base/text.h"
#include "client/endpoint.h"
#include "client/session_link.h"
#include "client/session_signals.h"
#include "wire/codec.h"
#include "wire/protocol.h"

namespace capsem::client {
namespace {

namespace asio = boost::asio;

std::unexpected<Error> guest_breaks_protocol(const std::string& what) {
  return fail("follow", "the session", "the agent in the guest " + what,
              "the guest may have been tampered with; start it again", ErrorKind::kInvalid);
}

// As for whatever is not the command's own end.
constexpr int kTakenOverStatus = 125;

// What a session with a terminal tells the guest of it.
void describe_terminal(wire::SessionStart& start, const wire::TerminalSize& size) {
  start.terminal = size;
  for (const char* name : {"TERM", "COLORTERM"})
    if (const char* value = ::getenv(name); value != nullptr)
      start.environment.try_emplace(name, value);
}

class Session {
 public:
  Session(const asio::any_io_executor& executor, async::Stream& stream, SessionRequest request,
          SessionSignals signals)
      : executor_(executor),
        request_(std::move(request)),
        link_(executor, stream),
        input_(Input::open(executor, request_.standard[0], "standard input")),
        outputs_{Output::open(executor, request_.standard[1], "standard output"),
                 Output::open(executor, request_.standard[2], "standard error")},
        signals_(std::move(signals)),
        policy_(request_.terminal != nullptr, request_.grace, request_.time_limit),
        deadline_(executor, policy_.deadline()),
        tasks_(executor) {}

  Task<Result<SessionEnd>> run();

 private:
  // Each runs beside the others until stop() or its own end.
  Task<> relay_input();
  Task<> relay_signals();
  Task<> watch_deadline();
  Task<> relay_questions();
  Task<Result<SessionEnd>> follow_guest();

  void stop();
  void stop_with(Error error);
  bool detachable() const { return request_.start.detachable || !request_.attach.empty(); }
  void leave(SessionEnd end, bool goes_on);
  Task<> detach(bool goes_on);
  Result<> follow(const EndPolicy::Decision& decision);

  Result<> prepare();
  Result<> send_input(std::string_view input);
  void handle(const ReceivedSignal& signal);

  // Handles one message; the end of the session when it is the last.
  Task<Result<std::optional<SessionEnd>>> handle(wire::GuestSession message);
  bool asked() const { return request_.prompt != nullptr && request_.prompt->shown(); }
  Task<> write_question(std::string text);
  Task<> have_it_painted();
  Task<Result<>> write_piece(wire::OutputStream stream, std::string_view data);
  Task<Result<>> write_output(wire::OutputStream stream, std::string data);
  Result<> take_credit(std::uint64_t bytes);
  Task<Result<>> begin_attached(wire::Attached attached);

  asio::any_io_executor executor_;
  SessionRequest request_;
  SessionLink link_;
  Input input_;
  std::array<Output, 2> outputs_;
  std::array<bool, 2> output_closed_{};
  SessionSignals signals_;
  EndPolicy policy_;
  asio::steady_timer deadline_;

  std::size_t unconsumed_bytes_ = 0;  // of standard input sent and not yet granted back
  bool input_wanted_ = true;
  async::Event may_read_;

  // The screen is the session's or a question's.
  bool writing_ = false;  // a piece of the session's output
  bool asking_ = false;
  async::Event written_;
  async::Event may_write_;

  bool started_ = false;
  bool stopped_ = false;
  bool forced_ = false;             // ended by the policy
  std::optional<SessionEnd> left_;  // ended by us, by a last message
  std::optional<Error> failure_;    // of a part other than follow_guest()
  async::TaskGroup tasks_;
};

// ---- the frame around the parts

Task<Result<SessionEnd>> Session::run() {
  if (auto prepared = prepare(); !prepared) {
    link_.stop();
    co_return propagate(prepared);
  }
  tasks_.spawn(link_.run());
  tasks_.spawn(relay_input());
  tasks_.spawn(relay_signals());
  tasks_.spawn(watch_deadline());
  if (request_.prompt != nullptr && request_.terminal != nullptr) tasks_.spawn(relay_questions());
  auto end = co_await follow_guest();
  stop();
  co_await tasks_.join();
  if (left_ && !end) co_return std::move(*left_);
  if (forced_) co_return policy_.forced_end();
  if (failure_) co_return std::unexpected<Error>(std::move(*failure_));
  co_return end;
}

void Session::stop() {
  if (std::exchange(stopped_, true)) return;
  input_.cancel();
  for (Output& output : outputs_) output.cancel();
  signals_.cancel();
  deadline_.cancel();
  may_read_.notify();
  written_.notify();
  may_write_.notify();
  if (request_.prompt != nullptr) request_.prompt->changed().notify();
  link_.stop();
}

void Session::stop_with(Error error) {
  if (!failure_) failure_ = std::move(error);
  stop();
}

// Ends the session here. In the guest it goes on, or ends as with a terminal that is gone.
void Session::leave(SessionEnd end, bool goes_on) {
  if (stopped_ || left_) return;
  if (started_ && goes_on) end.detached = link_.id();
  left_ = std::move(end);
  tasks_.spawn(detach(goes_on));
}

Task<> Session::detach(bool goes_on) {
  Result<> sent;
  if (!goes_on) sent = link_.put(wire::OutputClosed{wire::OutputStream::kStdout});
  // An error is as good as the end that follows.
  if (sent) sent = link_.put(wire::Detach{});
  co_await link_.flush();
  stop();
}

Result<> Session::prepare() {
  if (!request_.attach.empty()) {
    wire::SessionAttach attach{.id = request_.attach, .terminal = request_.terminal->size()};
    // How much may be sent is known when the guest has answered.
    unconsumed_bytes_ = wire::kStdinWindowBytes;
    return link_.attach(std::move(attach), request_.outlive, std::move(request_.reopen));
  }
  auto& start = request_.start;
  if (request_.terminal != nullptr) describe_terminal(start, request_.terminal->size());
  start.outlive_ms = static_cast<std::uint32_t>(request_.outlive.count());
  auto sent = link_.start(std::move(start), std::move(request_.reopen));
  if (!sent) return propagate(sent, "start", "the session");
  return {};
}

// ---- towards the guest

Task<> Session::relay_input() {
  std::vector<std::byte> buffer(wire::kDataBytes);
  for (;;) {
    std::size_t room = wire::kStdinWindowBytes - unconsumed_bytes_;
    std::size_t held = request_.detach_keys.held();
    if (stopped_ || left_ || !input_wanted_) co_return;
    // A question is answered though the guest reads nothing.
    bool full = room <= held;
    if (full && !asked()) {
      co_await may_read_.wait();
      continue;
    }
    auto piece = std::span(buffer).first(full ? 1 : std::min(room, buffer.size()) - held);
    auto size = co_await input_.read_some(piece);
    if (stopped_ || left_ || !input_wanted_) co_return;
    if (!size) co_return stop_with(std::move(size).error());
    bool taken = *size > 0 && asked() && request_.prompt->type(as_text(piece.first(*size)));
    if (taken || (full && *size > 0)) continue;
    // A terminal's input has no end of its own: the terminal was closed.
    if (*size == 0 && detachable()) co_return leave({.status = {.signal = SIGHUP}}, true);
    if (auto sent = send_input(as_text(piece.first(*size))); !sent)
      co_return stop_with(std::move(sent).error());
    if (*size == 0) co_return;
  }
}

// None is the end of it.
Result<> Session::send_input(std::string_view input) {
  if (input.empty()) return link_.put(wire::StdinEnd{});
  if (!detachable()) {
    unconsumed_bytes_ += input.size();
    return link_.put(wire::Stdin{std::string(input)});
  }
  auto typed = request_.detach_keys.read(input);
  unconsumed_bytes_ += typed.input.size();
  Result<> sent;
  if (!typed.input.empty()) sent = link_.put(wire::Stdin{std::move(typed.input)});
  if (sent && typed.detach) leave({.status = {.code = 0}}, true);
  return sent;
}

Task<> Session::relay_signals() {
  for (;;) {
    auto signal = co_await signals_.next();
    if (!signal || stopped_) co_return;
    handle(*signal);
  }
}

Task<> Session::watch_deadline() {
  while (!stopped_) {
    deadline_.expires_at(policy_.deadline());
    boost::system::error_code cancelled;
    co_await deadline_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (stopped_) co_return;
    auto now = EndPolicy::Clock::now();
    if (now < policy_.deadline()) continue;  // it has another one now
    auto decision = policy_.on_deadline(now);
    if (decision.end && detachable()) co_return leave(policy_.forced_end(), false);
    auto followed = follow(decision);
    if (!followed) co_return stop_with(std::move(followed).error());
  }
}

Result<> Session::follow(const EndPolicy::Decision& decision) {
  deadline_.cancel();
  if (decision.end) {
    forced_ = !stopped_;
    stop();
  }
  if (decision.forward == 0) return {};
  return link_.put(wire::Signal{static_cast<std::uint32_t>(decision.forward)});
}

void Session::handle(const ReceivedSignal& signal) {
  const Terminal* terminal = request_.terminal;
  Result<> sent;
  if (signal.use == SignalUse::kStop) {
    terminal->suspend();
    ::kill(::getpid(), SIGSTOP);  // goes on with the SIGCONT, which arrives here next
  } else if (signal.use == SignalUse::kResize || signal.use == SignalUse::kContinue) {
    if (signal.use == SignalUse::kContinue) terminal->resume();
    sent = link_.put(wire::Resize{terminal->size()});
  } else if (signal.use == SignalUse::kForward) {
    sent = follow({.forward = signal.number});
  } else {
    auto decision = policy_.on_signal(signal.number, EndPolicy::Clock::now());
    if (decision.end && detachable()) return leave(policy_.forced_end(), true);
    sent = follow(decision);
  }
  if (!sent) stop_with(std::move(sent).error());
}

// ---- from the guest

Task<Result<SessionEnd>> Session::follow_guest() {
  for (;;) {
    auto message = co_await link_.next();
    if (!message && message.error().kind() == ErrorKind::kInvalid)
      co_return guest_breaks_protocol("sent garbage: " + message.error().message());
    if (!message) co_return propagate(message);
    auto end = co_await handle(std::move(*message));
    if (!end) co_return propagate(end);
    if (*end) co_return std::move(**end);
  }
}

Result<> Session::take_credit(std::uint64_t bytes) {
  if (bytes > unconsumed_bytes_) return guest_breaks_protocol("granted input it never had");
  unconsumed_bytes_ -= static_cast<std::size_t>(bytes);
  may_read_.notify();
  return {};
}

// The screen is the session's from its upper left corner on.
Task<Result<>> Session::begin_attached(wire::Attached attached) {
  if (attached.unread_bytes > wire::kStdinWindowBytes)
    co_return guest_breaks_protocol("holds more input than it was granted");
  unconsumed_bytes_ = static_cast<std::size_t>(attached.unread_bytes);
  may_read_.notify();
  if (!request_.terminal->has_screen()) co_return Result<>();
  std::string clear = "\x1b[H\x1b[2J";
  co_return co_await write_output(wire::OutputStream::kStdout, std::move(clear));
}

Task<Result<>> Session::write_output(wire::OutputStream stream, std::string data) {
  if (request_.on_first_output) std::exchange(request_.on_first_output, nullptr)();
  auto index = static_cast<std::size_t>(stream);
  if (output_closed_.at(index)) co_return Result<>();
  while (asking_ && !stopped_) co_await may_write_.wait();
  writing_ = true;
  auto written = co_await write_piece(stream, data);
  writing_ = false;
  if (asking_) written_.notify();
  if (written) co_return Result<>();
  if (written.error().kind() != ErrorKind::kClosed) co_return propagate(written);
  output_closed_.at(index) = true;
  co_return link_.put(wire::OutputClosed{stream});
}

Task<Result<>> Session::write_piece(wire::OutputStream stream, std::string_view data) {
  auto* terminal = request_.terminal;
  if (terminal != nullptr) terminal->begin_output(as_bytes(data));
  auto written = co_await outputs_.at(static_cast<std::size_t>(stream)).write_all(as_bytes(data));
  if (terminal != nullptr && written) terminal->end_output();
  co_return written;
}

// ---- questions

// Until stop(). The session's output waits from a question to its end.
Task<> Session::relay_questions() {
  auto& prompt = *request_.prompt;
  while (!stopped_) {
    if (!prompt.asks()) {
      co_await prompt.changed().wait();
      continue;
    }
    asking_ = true;
    while (writing_ && !stopped_) co_await written_.wait();
    const auto number = prompt.number();
    co_await write_question(prompt.text());
    prompt.set_shown(true);
    may_read_.notify();
    while (!stopped_ && prompt.asks() && prompt.number() == number)
      co_await prompt.changed().wait();
    prompt.set_shown(false);
    co_await write_question(prompt.end_text());
    asking_ = false;
    may_write_.notify();
    co_await have_it_painted();
  }
}

// What the guest has set must not hide what is asked: attributes are reset, and what it draws lines
// with. A terminal that does not take it is the session's to notice.
Task<> Session::write_question(std::string text) {
  if (stopped_) co_return;
  text.insert(0, "\x1b[0m\x1b(B\x0f");
  [[maybe_unused]] auto written = co_await write_piece(wire::OutputStream::kStdout, text);
}

// A program that has the whole screen paints it anew when that has another size.
Task<> Session::have_it_painted() {
  constexpr std::chrono::milliseconds kPause{50};
  auto size = request_.terminal->size();
  if (stopped_ || !started_ || size.rows < 2) co_return;
  auto smaller = size;
  --smaller.rows;
  auto sent = link_.put(wire::Resize{smaller});
  asio::steady_timer timer(executor_, kPause);
  co_await timer.async_wait(asio::use_awaitable);
  if (sent && !stopped_) sent = link_.put(wire::Resize{request_.terminal->size()});
  if (!sent) stop_with(std::move(sent).error());
}

Task<Result<std::optional<SessionEnd>>> Session::handle(wire::GuestSession message) {
  std::optional<SessionEnd> end;
  Result<> done;
  if (auto* mismatch = std::get_if<wire::VersionMismatch>(&message))
    co_return fail("start", "the session",
                   wire::version_mismatch_text(wire::kProtocol, mismatch->guest_protocol), "",
                   ErrorKind::kInvalid);
  if (auto* failed = std::get_if<wire::Failed>(&message)) {
    if (started_) co_return guest_breaks_protocol("gave up: " + printable(failed->text));
    end = SessionEnd{.status = {.code = static_cast<int>(failed->shell_code & 0xff)},
                     .message = printable(failed->text)};
    co_return end;
  }
  if (std::holds_alternative<wire::TakenOver>(message) && started_) {
    end = SessionEnd{.status = {.code = kTakenOverStatus},
                     .message = "cannot go on with the session: it was attached to elsewhere"};
    co_return end;
  }
  auto* attached = std::get_if<wire::Attached>(&message);
  if ((request_.attach.empty() ? std::holds_alternative<wire::Started>(message)
                               : attached != nullptr) == started_)
    co_return guest_breaks_protocol(started_ ? "started the command twice"
                                             : "spoke of a command before it started it");
  if (!started_) {
    started_ = true;
    policy_.on_started(EndPolicy::Clock::now());
    deadline_.cancel();
    if (request_.on_started) request_.on_started();
    if (attached != nullptr) done = co_await begin_attached(*attached);
  } else if (auto* out = std::get_if<wire::Stdout>(&message)) {
    done = co_await write_output(wire::OutputStream::kStdout, std::move(out->data));
  } else if (auto* err = std::get_if<wire::Stderr>(&message)) {
    done = co_await write_output(wire::OutputStream::kStderr, std::move(err->data));
  } else if (auto* credit = std::get_if<wire::StdinCredit>(&message)) {
    done = take_credit(credit->bytes);
  } else if (std::holds_alternative<wire::StdinClosed>(message)) {
    input_wanted_ = false;
    input_.cancel();
    may_read_.notify();
  } else if (auto* exited = std::get_if<wire::Exited>(&message)) {
    if (exited->code > 255 || exited->signal >= NSIG)
      co_return guest_breaks_protocol("told of an impossible exit status");
    end = policy_.end_with(
        {.code = static_cast<int>(exited->code), .signal = static_cast<int>(exited->signal)});
    end->out_of_memory_kills = exited->out_of_memory_kills;
  } else {
    co_return guest_breaks_protocol("sent a message out of its place");
  }
  if (!done) co_return propagate(done);
  co_return end;
}

}  // namespace

Result<> check_start(wire::SessionStart start, bool has_terminal) {
  constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
  if (has_terminal) describe_terminal(start, {kMost, kMost, kMost, kMost});
  // As long as what SessionLink adds.
  start.id.assign(wire::kMaxSessionIdBytes, '0');
  start.outlive_ms = kMost;
  start.detachable = true;
  auto fits = wire::encode(wire::HostSession(std::move(start)));
  if (fits) return {};
  return std::unexpected(
      std::move(fits).error().restated("pass", "the command and its environment on to the guest",
                                       "put what is large into a file, or on standard input"));
}

Task<Result<SessionEnd>> run_session(async::Stream& stream, SessionRequest request) {
  auto executor = co_await asio::this_coro::executor;
  auto signals = SessionSignals::hold(executor, request.signals, request.terminal != nullptr);
  if (!signals) {
    stream.reset();
    co_return propagate(signals);
  }
  // On the heap: GCC 12 takes a coroutine frame that holds it for a mismatched allocation.
  auto session =
      std::make_unique<Session>(executor, stream, std::move(request), std::move(*signals));
  auto end = co_await session->run();
  co_return end;
}

}  // namespace capsem::client
