#include "host/session/session.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "base/text.h"
#include "host/session/endpoint.h"
#include "host/session/event.h"
#include "host/session/outbox.h"
#include "host/session/session_signals.h"
#include "wire/frame.h"
#include "wire/protocol.h"

namespace capsem::host::session {
namespace {

namespace asio = boost::asio;

std::unexpected<Error> guest_breaks_protocol(const std::string& what) {
  return fail("follow", "the session", "the agent in the guest " + what,
              "the guest may have been tampered with; start it again", ErrorKind::kInvalid);
}

SignalAction default_action(const SessionRequest& request, int number) {
  bool is_user_signal = number == SIGUSR1 || number == SIGUSR2;
  return request.terminal != nullptr && !is_user_signal ? SignalAction::kEnd
                                                        : SignalAction::kForward;
}

class Session {
 public:
  Session(const asio::any_io_executor& executor, vsock::Stream& stream, SessionRequest request)
      : executor_(executor),
        stream_(stream),
        request_(std::move(request)),
        outbox_(executor, stream),
        input_(Input::open(executor, request_.standard[0], "standard input")),
        outputs_{Output::open(executor, request_.standard[1], "standard output"),
                 Output::open(executor, request_.standard[2], "standard error")},
        signals_(executor, request_.terminal != nullptr),
        may_read_(executor),
        task_ended_(executor) {}

  Task<Result<SessionEnd>> run();

 private:
  // Each runs beside the others until stop() or its own end.
  Task<> relay_input();
  Task<> relay_signals();
  Task<Result<SessionEnd>> follow_guest();

  void spawn(Task<> task);
  void stop();
  void stop_with(Error error);

  Result<> prepare();
  void obey(const ReceivedSignal& signal);

  // Handles one message; the end of the session when it is the last.
  Task<Result<std::optional<SessionEnd>>> take(wire::GuestSession message);
  Task<Result<>> write_output(wire::OutputStream stream, std::string data);
  Result<> take_credit(std::uint64_t bytes);

  asio::any_io_executor executor_;
  vsock::Stream& stream_;
  SessionRequest request_;
  Outbox outbox_;
  Input input_;
  std::array<Output, 2> outputs_;
  std::array<bool, 2> output_closed_{};
  SessionSignals signals_;

  std::size_t unconsumed_bytes_ = 0;  // of standard input sent and not yet granted back
  bool input_wanted_ = true;
  Event may_read_;

  bool started_ = false;
  bool stopped_ = false;
  std::optional<Error> failure_;  // of a part other than follow_guest()
  std::exception_ptr exception_;
  int running_tasks_ = 0;
  Event task_ended_;
};

// ---- the frame around the parts

Task<Result<SessionEnd>> Session::run() {
  if (auto prepared = prepare(); !prepared) {
    stream_.reset();
    co_return propagate(prepared);
  }
  spawn(outbox_.run());
  spawn(relay_input());
  spawn(relay_signals());
  auto end = co_await follow_guest();
  stop();
  while (running_tasks_ > 0) co_await task_ended_.wait();
  if (exception_) std::rethrow_exception(exception_);
  if (failure_) co_return std::unexpected<Error>(std::move(*failure_));
  co_return end;
}

void Session::spawn(Task<> task) {
  ++running_tasks_;
  asio::co_spawn(executor_, std::move(task), [this](const std::exception_ptr& exception) {
    if (exception) {
      exception_ = exception;
      stop();
    }
    --running_tasks_;
    task_ended_.notify();
  });
}

void Session::stop() {
  if (std::exchange(stopped_, true)) return;
  input_.cancel();
  for (Output& output : outputs_) output.cancel();
  signals_.cancel();
  may_read_.notify();
  outbox_.stop();
  stream_.reset();
}

void Session::stop_with(Error error) {
  if (!failure_) failure_ = std::move(error);
  stop();
}

Result<> Session::prepare() {
  auto& start = request_.start;
  start.protocol = wire::kProtocol;
  if (request_.terminal != nullptr) {
    start.terminal = request_.terminal->size();
    const char* name = ::getenv("TERM");
    if (name != nullptr) start.environment.try_emplace("TERM", name);
  }
  auto sent = outbox_.put(std::move(start));
  if (!sent) return propagate(sent, "start", "the session");
  return {};
}

// ---- towards the guest

Task<> Session::relay_input() {
  std::vector<std::byte> buffer(wire::kDataBytes);
  for (;;) {
    std::size_t room = wire::kStdinWindowBytes - unconsumed_bytes_;
    if (stopped_ || !input_wanted_) co_return;
    if (room == 0) {
      co_await may_read_.wait();
      continue;
    }
    auto piece = std::span(buffer).first(std::min(room, buffer.size()));
    auto size = co_await input_.read_some(piece);
    if (stopped_ || !input_wanted_) co_return;
    if (!size) co_return stop_with(std::move(size).error());
    Result<> sent;
    if (*size == 0) {
      sent = outbox_.put(wire::StdinEnd{});
    } else {
      unconsumed_bytes_ += *size;
      sent = outbox_.put(wire::Stdin{std::string(as_text(piece.first(*size)))});
    }
    if (!sent) co_return stop_with(std::move(sent).error());
    if (*size == 0) co_return;
  }
}

Task<> Session::relay_signals() {
  for (;;) {
    auto signal = co_await signals_.next();
    if (!signal || stopped_) co_return;
    obey(*signal);
  }
}

void Session::obey(const ReceivedSignal& signal) {
  const Terminal* terminal = request_.terminal;
  Result<> sent;
  if (signal.use == SignalUse::kStop) {
    terminal->suspend();
    ::kill(::getpid(), SIGSTOP);  // goes on with the SIGCONT, which arrives here next
  } else if (signal.use == SignalUse::kResize || signal.use == SignalUse::kContinue) {
    if (signal.use == SignalUse::kContinue) terminal->resume();
    sent = outbox_.put(wire::Resize{terminal->size()});
  } else {
    auto action = request_.on_signal ? request_.on_signal(signal.number)
                                     : default_action(request_, signal.number);
    if (action == SignalAction::kForward)
      sent = outbox_.put(wire::Signal{static_cast<std::uint32_t>(signal.number)});
    if (action == SignalAction::kEnd)
      stop_with(Error("finish", "the session",
                      std::string("ended by ") + ::strsignal(signal.number), "",
                      ErrorKind::kInterrupted));
  }
  if (!sent) stop_with(std::move(sent).error());
}

// ---- from the guest

Task<Result<SessionEnd>> Session::follow_guest() {
  wire::MessageDecoder<wire::GuestSession> decoder;
  for (;;) {
    auto message = decoder.next();
    if (!message) co_return guest_breaks_protocol("sent garbage: " + message.error().message());
    if (*message) {
      auto end = co_await take(std::move(**message));
      if (!end) co_return propagate(end);
      if (*end) co_return std::move(**end);
      continue;
    }
    auto room = decoder.prepare();
    auto size = co_await stream_.read_some(room);
    if (!size) co_return propagate(size, "follow", "the session");
    if (*size == 0)
      co_return fail("follow", "the session",
                     "the guest closed the connection before the command's end", "",
                     ErrorKind::kClosed);
    decoder.commit(*size);
  }
}

Result<> Session::take_credit(std::uint64_t bytes) {
  if (bytes > unconsumed_bytes_) return guest_breaks_protocol("granted input it never had");
  unconsumed_bytes_ -= static_cast<std::size_t>(bytes);
  may_read_.notify();
  return {};
}

Task<Result<>> Session::write_output(wire::OutputStream stream, std::string data) {
  if (request_.on_first_output) std::exchange(request_.on_first_output, nullptr)();
  auto index = static_cast<std::size_t>(stream);
  if (output_closed_.at(index)) co_return Result<>();
  auto written = co_await outputs_.at(index).write_all(as_bytes(data));
  if (written) co_return Result<>();
  if (written.error().kind() != ErrorKind::kClosed) co_return propagate(written);
  output_closed_.at(index) = true;
  co_return outbox_.put(wire::OutputClosed{stream});
}

Task<Result<std::optional<SessionEnd>>> Session::take(wire::GuestSession message) {
  std::optional<SessionEnd> end;
  Result<> done;
  if (auto* mismatch = std::get_if<wire::VersionMismatch>(&message))
    co_return fail("start", "the session",
                   wire::version_mismatch_text(wire::kProtocol, mismatch->guest_protocol), "",
                   ErrorKind::kInvalid);
  if (auto* failed = std::get_if<wire::Failed>(&message)) {
    if (started_) co_return guest_breaks_protocol("gave up: " + printable(failed->text));
    end = SessionEnd{.status = {.code = static_cast<int>(failed->shell_code & 0xff)},
                     .complaint = printable(failed->text),
                     .out_of_memory_kills = 0};
    co_return end;
  }
  if (std::holds_alternative<wire::Started>(message) == started_)
    co_return guest_breaks_protocol(started_ ? "started the command twice"
                                             : "spoke of a command before it started it");
  if (std::holds_alternative<wire::Started>(message)) {
    started_ = true;
    if (request_.on_started) request_.on_started();
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
    end = SessionEnd{.status = {.code = static_cast<int>(exited->code),
                                .signal = static_cast<int>(exited->signal)},
                     .complaint = {},
                     .out_of_memory_kills = exited->out_of_memory_kills};
  }
  if (!done) co_return propagate(done);
  co_return end;
}

}  // namespace

Task<Result<SessionEnd>> run_session(vsock::Stream& stream, SessionRequest request) {
  [[maybe_unused]] auto before = ::signal(SIGPIPE, SIG_IGN);
  auto executor = co_await asio::this_coro::executor;
  // On the heap: GCC 12 takes a coroutine frame that holds it for a mismatched allocation.
  auto session = std::make_unique<Session>(executor, stream, std::move(request));
  auto end = co_await session->run();
  co_return end;
}

}  // namespace capsem::host::session
