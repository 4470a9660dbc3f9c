#include "guest/pty-agent/relay.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "base/overloaded.h"
#include "guest/pty-agent/handover.h"
#include "guest/pty-agent/serve.h"
#include "guest/pty-agent/session_processes.h"

namespace capsem::guest::pty_agent {
namespace {

// Output is read while less than this waits for the host: enough to keep the stream busy.
constexpr std::size_t kUnsentBytes = 256 << 10;

// The most a pipe can hold (pipe-max-size); a background process that writes without a pause is
// cut off after it, the command's own output cannot be longer.
constexpr std::size_t kPipeBytes = 1 << 20;

std::unexpected<Error> breaks_protocol(const char* what) {
  return fail("serve", "the session", what, "", ErrorKind::kInvalid);
}

}  // namespace

Relay::Relay(Connection& connection, Child child, const SessionGroup* group,
             std::chrono::milliseconds outlive, const Fd& line, Serving serving)
    : connection_(connection),
      child_(std::move(child)),
      group_(group),
      outlive_(outlive),
      line_(line),
      line_is_closed_(!line),
      serving_(std::move(serving)),
      outputs_{Output{.fd = &child_.output, .stream = wire::OutputStream::kStdout},
               Output{.fd = &child_.error, .stream = wire::OutputStream::kStderr}},
      read_buffer_(kOutputPipeBytes) {}

void Relay::run() {
  // Without the agent it runs as well, only that no connection finds its way to it.
  if (connection_.outlives() && line_) [[maybe_unused]]
    auto told = send_on_line(line_, serving_);
  connection_.queue(wire::Started{static_cast<std::uint32_t>(child_.pid)});
  // What arrived together with the first message shows in no poll(2).
  auto going = handle_messages();
  while (going && !is_over()) going = wait_and_relay();
  if (going) {
    report_end();
    // First, since the end of thousands of processes takes seconds.
    auto delivered = deliver();
    leave_line();
    if (cut_off_ && !child_.has_terminal) kill_all();
    return;
  }
  leave_line();
  if (going.error().kind() != ErrorKind::kClosed)
    connection_.queue(wire::Failed{125, wire::clipped(going.error().message())});
  end_session(child_.pid);
}

Result<> Relay::wait_and_relay() {
  std::array<pollfd, kSlots> slots{};
  watch(slots);
  if (::poll(slots.data(), slots.size(), timeout()) < 0) {
    if (errno == EINTR) return {};
    return fail_system("wait for", "the command and the host", errno);
  }
  if (slots[kLine].revents != 0)
    take_connection();
  else if (auto heard = tolerate_loss(listen_to_host(slots[kConnection].revents)); !heard)
    return heard;
  if (slots[kInput].revents != 0) write_input();
  if (slots[kOutput].fd >= 0) settle(outputs_[0], slots[kOutput].revents != 0);
  if (slots[kError].fd >= 0) settle(outputs_[1], slots[kError].revents != 0);
  tell_agent();
  // Last, so that what an output yields from the next round on was written before the end.
  if (slots[kProcess].revents != 0) note_end();
  return tolerate_loss(talk_to_host());
}

Result<> Relay::deliver() {
  auto going = tolerate_loss(connection_.flush());
  while (going && connection_.outlives() && connection_.held_bytes() > 0) going = wait_and_relay();
  return going;
}

void Relay::report_end() {
  siginfo_t how{};
  // Not reaped: its number must mean this session until the agent's process ends.
  ::waitid(P_PID, static_cast<id_t>(child_.pid), &how, WEXITED | WNOWAIT);
  auto number = static_cast<std::uint32_t>(how.si_status);
  wire::Exited exited;
  (how.si_code == CLD_EXITED ? exited.code : exited.signal) = number;
  if (group_ != nullptr) exited.out_of_memory_kills = group_->out_of_memory_kills();
  exited_ = exited;
  connection_.queue(exited);
}

void Relay::kill_all() const {
  if (group_ != nullptr)
    group_->kill();
  else
    kill_session(child_.pid);
}

void Relay::watch(std::array<pollfd, kSlots>& slots) {
  auto out = connection_.unsent_bytes() > 0 ? POLLIN | POLLOUT : POLLIN;
  slots[kConnection] = {.fd = connection_.fd(), .events = static_cast<short>(out)};
  slots[kLine] = {.fd = connection_.outlives() && !line_is_closed_ ? line_.get() : -1,
                  .events = POLLIN};
  slots[kProcess] = {.fd = ended_ ? -1 : child_.process.get(), .events = POLLIN};
  // A pipe is watched even with nothing to write: POLLERR says that nobody reads it any more.
  bool has_input = input_written_ < input_.size();
  slots[kInput] = {.fd = has_input || !child_.has_terminal ? child_.input.get() : -1,
                   .events = static_cast<short>(has_input ? POLLOUT : 0)};
  slots[kOutput] = {.fd = has_room() ? child_.output.get() : -1, .events = POLLIN};
  slots[kError] = {.fd = has_room() ? child_.error.get() : -1, .events = POLLIN};
}

bool Relay::has_room() const {
  return connection_.held_bytes() < kUnsentBytes;
}

bool Relay::has_open_output() const {
  return std::ranges::any_of(outputs_, [](const Output& output) { return bool(*output.fd); });
}

int Relay::timeout() const {
  auto now = Clock::now();
  auto until = Clock::time_point::max();
  if (connection_.fd() < 0 && line_is_closed_)
    until = now;
  else if (connection_.fd() < 0 && !connection_.is_detached())
    until = lost_at_ + outlive_;
  if (ended_ && has_open_output() && has_room())
    until = std::min(
        until, child_.has_terminal ? now : std::min(quiet_since_ + kQuiet, ended_at_ + kLinger));
  return until == Clock::time_point::max() ? -1 : milliseconds_until(until);
}

// ---- the host

Result<> Relay::listen_to_host(short events) {
  if (connection_.fd() < 0 || (events & ~POLLOUT) == 0) return {};
  if (auto received = connection_.receive(); !received) return propagate(received);
  return handle_messages();
}

Result<> Relay::talk_to_host() {
  if (connection_.fd() < 0) return {};
  auto flushed = connection_.flush();
  if (flushed) return {};
  // What the host said before it went is still there, which may be that it detaches.
  while (connection_.fd() >= 0 && connection_.receive().value_or(false))
    if (auto handled = handle_messages(); !handled) return handled;
  return flushed;
}

// A lost connection is no reason to end, for as long as the host wanted.
Result<> Relay::tolerate_loss(Result<> talked) {
  auto now = Clock::now();
  if (!connection_.outlives()) return talked;
  if (connection_.fd() >= 0) {
    if (talked || talked.error().kind() != ErrorKind::kClosed) return talked;
    connection_.lose();
    lost_at_ = now;
  } else if (!line_is_closed_ && (connection_.is_detached() || now < lost_at_ + outlive_)) {
    return {};
  } else if (!line_is_closed_ && serving_.detachable) {
    connection_.detach();
  } else {
    return fail("go on with", "the session", "the host did not come back", "", ErrorKind::kClosed);
  }
  return {};
}

void Relay::take_connection() {
  auto message = receive_from_line(line_);
  // The agent is gone, and with it the way back; the connection that there is may go on.
  line_is_closed_ = !message && message.error().kind() == ErrorKind::kClosed;
  if (!message || !*message) return;
  if (auto* resumption = std::get_if<Resumption>(&**message))
    resume(std::move(*resumption));
  else if (auto* attachment = std::get_if<Attachment>(&**message))
    attach(std::move(*attachment));
}

// Before the host can see the end: a connection that it makes then is answered, not dropped.
void Relay::leave_line() {
  // The agent's next message fails, and the agent answers itself.
  ::shutdown(line_.get(), SHUT_RD);
  for (;;) {
    auto message = receive_from_line(line_);
    if (!message || !*message) return;
    if (auto* resumption = std::get_if<Resumption>(&**message))
      refuse_as_gone(std::move(*resumption));
    else if (auto* attachment = std::get_if<Attachment>(&**message))
      refuse_as_gone(std::move(*attachment));
  }
}

void Relay::resume(Resumption resumption) {
  if (resumption.attachment != connection_.attachment())
    return refuse_resumption(std::move(resumption.connection),
                             "it was detached or attached elsewhere since");
  // A host that counts wrongly is none to go on with: it sees its connection end.
  [[maybe_unused]] auto resumed =
      connection_.resume(std::move(resumption.connection), resumption.received);
}

void Relay::attach(Attachment attachment) {
  std::size_t unread = input_.size() - input_written_ + ungranted_;
  if (auto attached = connection_.attach(std::move(attachment.connection), unread); !attached)
    return;
  input_ended_ = false;
  // In one message, as it is no larger than the most that one carries.
  static_assert(kLastOutputBytes <= wire::kDataBytes);
  if (auto text = last_output_.text(); !text.empty())
    connection_.queue(wire::Stdout{std::move(text)});
  if (!child_.input) connection_.queue(wire::StdinClosed{});
  if (exited_) connection_.queue(*exited_);
  if (ended_) return;
  resize(child_, attachment.terminal);
  // Programs draw anew though the size may be what it was.
  send_signal(child_, SIGWINCH);
}

void Relay::tell_agent() {
  bool attached = connection_.fd() >= 0;
  if (!connection_.outlives() || attached == serving_.attached) return;
  serving_.attached = attached;
  // One that is lost is made good by the next.
  [[maybe_unused]] auto told = send_on_line(line_, serving_);
}

Result<> Relay::handle_messages() {
  for (;;) {
    auto message = connection_.next();
    if (!message) return propagate(message);
    if (!*message) return {};
    if (auto handled = handle(std::move(**message)); !handled) return handled;
  }
}

Result<> Relay::handle(wire::HostSession message) {
  return std::visit(Overloaded{
                        [](const wire::SessionStart&) -> Result<> {
                          return breaks_protocol("the host started it twice");
                        },
                        [](const wire::SessionResume&) -> Result<> {
                          return breaks_protocol("the host resumed it on its own connection");
                        },
                        [](const wire::SessionAttach&) -> Result<> {
                          return breaks_protocol("the host attached to it on its own connection");
                        },
                        [](const wire::SessionList&) -> Result<> {
                          return breaks_protocol("the host asked for the sessions within one");
                        },
                        [this](const wire::Detach&) -> Result<> {
                          if (!serving_.detachable)
                            return breaks_protocol("the host detached from what cannot go on");
                          connection_.detach();
                          return {};
                        },
                        [](const wire::Received&) -> Result<> {
                          return breaks_protocol("the host counts what is not kept");
                        },
                        [this](wire::Stdin& input) { return take_input(std::move(input)); },
                        [this](const wire::StdinEnd&) -> Result<> {
                          input_ended_ = true;
                          if (input_.empty()) end_input();
                          return {};
                        },
                        [this](const wire::Resize& window) -> Result<> {
                          resize(child_, window.size);
                          return {};
                        },
                        [this](const wire::Signal& signal) -> Result<> {
                          if (signal.number < 1 || signal.number >= NSIG)
                            return breaks_protocol("the host sent a signal that does not exist");
                          if (!ended_) send_signal(child_, static_cast<int>(signal.number));
                          return {};
                        },
                        [this](const wire::OutputClosed& closed) -> Result<> {
                          close_output(closed.stream);
                          return {};
                        },
                    },
                    message);
}

Result<> Relay::take_input(wire::Stdin input) {
  if (input_ended_) return breaks_protocol("the host sent input after its end");
  if (!child_.input) return {};  // the command reads no more
  if (input_.size() - input_written_ + input.data.size() + ungranted_ > wire::kStdinWindowBytes)
    return breaks_protocol("the host sent more input than it was granted");
  if (input_.empty())
    input_ = std::move(input.data);
  else
    input_ += input.data;
  write_input();
  return {};
}

void Relay::close_output(wire::OutputStream stream) {
  if (child_.has_terminal) {
    // A terminal that has gone: its session hangs up.
    end_session(child_.pid);
    child_.output.reset();
  } else {
    (stream == wire::OutputStream::kStdout ? child_.output : child_.error).reset();
  }
}

// ---- standard input

void Relay::write_input() {
  while (child_.input && input_written_ < input_.size()) {
    ssize_t n =
        ::write(child_.input.get(), input_.data() + input_written_, input_.size() - input_written_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return input_is_closed();
    input_written_ += static_cast<std::size_t>(n);
    grant(static_cast<std::size_t>(n));
  }
  if (!child_.input) return;
  if (input_written_ < input_.size()) {
    // Drops what is written once it is most of the buffer, so that the buffer stays bounded.
    if (input_written_ >= wire::kStdinWindowBytes / 2) {
      input_.erase(0, input_written_);
      input_written_ = 0;
    }
    return;
  }
  if (!input_.empty()) line_is_open_ = input_.back() != '\n';
  input_.clear();
  input_written_ = 0;
  if (input_ended_) return end_input();
  pollfd pipe{.fd = child_.input.get(), .events = 0, .revents = 0};
  if (!child_.has_terminal && ::poll(&pipe, 1, 0) > 0) input_is_closed();
}

void Relay::end_input() {
  if (!child_.input) return;
  if (!child_.has_terminal) return child_.input.reset();
  // What Ctrl-D does: once ends the line as it is, once more, or at the start of a line, the input.
  termios modes{};
  if (::tcgetattr(child_.input.get(), &modes) != 0 || (modes.c_lflag & ICANON) == 0) return;
  for (int i = 0; i < (line_is_open_ ? 2 : 1); ++i) [[maybe_unused]]
    auto n = ::write(child_.input.get(), &modes.c_cc[VEOF], 1);
}

void Relay::input_is_closed() {
  child_.input.reset();
  input_.clear();
  input_written_ = 0;
  connection_.queue(wire::StdinClosed{});
}

void Relay::grant(std::size_t bytes) {
  ungranted_ += bytes;
  if (ungranted_ < wire::kStdinWindowBytes / 4 && input_written_ < input_.size()) return;
  connection_.queue(wire::StdinCredit{ungranted_});
  ungranted_ = 0;
}

// ---- output

void Relay::settle(Output& output, bool readable) {
  if (!*output.fd) return;
  if (readable) return read_output(output);
  if (!ended_) return;
  output.emptied = true;
  auto now = Clock::now();
  if (child_.has_terminal || now >= quiet_since_ + kQuiet) cut_off(output);
}

void Relay::read_output(Output& output) {
  ssize_t n = ::read(output.fd->get(), read_buffer_.data(), read_buffer_.size());
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  // EIO: how a terminal's master says that its other end was hung up.
  if (n <= 0) return output.fd->reset();
  std::string_view data(read_buffer_.data(), static_cast<std::size_t>(n));
  if (serving_.detachable) last_output_.add(data);
  connection_.queue_output(output.stream, data);
  if (!ended_) return;
  quiet_since_ = Clock::now();
  output.bytes_since_end += static_cast<std::size_t>(n);
  bool has_all = output.emptied || output.bytes_since_end > kPipeBytes;
  if (has_all && quiet_since_ >= ended_at_ + kLinger) cut_off(output);
}

void Relay::cut_off(Output& output) {
  output.fd->reset();
  cut_off_ = true;
}

void Relay::note_end() {
  ended_ = true;
  ended_at_ = quiet_since_ = Clock::now();
  child_.slave.reset();
  // Nothing more will be read; the host need not send it.
  if (child_.input && !child_.has_terminal) child_.input.reset();
}

}  // namespace capsem::guest::pty_agent
