#include "guest/pty-agent/handover.h"

#include <array>
#include <charconv>
#include <utility>

#include "base/message_socket.h"

namespace capsem::guest::pty_agent {
namespace {

// A word for the kind, numbers, then what may have spaces in it; with the connection but for the
// first.
constexpr std::string_view kServing = "serving ";  // DETACHABLE ATTACHED PID ID COMMAND
constexpr std::string_view kResume = "resume ";    // RECEIVED ATTACHMENT ID
constexpr std::string_view kAttach = "attach ";    // ROWS COLUMNS X_PIXELS Y_PIXELS ID
constexpr std::string_view kList = "list";

std::unexpected<Error> unknown(const std::string& text) {
  return fail("understand", "the agent's line", "it says '" + text + "'", "", ErrorKind::kInvalid);
}

std::string text_of(std::string_view kind, std::initializer_list<std::uint64_t> numbers,
                    std::string_view rest) {
  std::string text(kind);
  for (auto number : numbers) text += std::to_string(number) + " ";
  return text += rest;
}

Result<> send_with(const Fd& line, const std::string& text, const Fd& connection) {
  std::array<int, 1> fds = {connection.get()};
  return send_message(line, text, fds);
}

// Takes a number and the space behind it from the beginning of `text`.
template <class Number>
bool take(std::string_view& text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (error != std::errc() || !text.starts_with(' ')) return false;
  text.remove_prefix(1);
  return true;
}

bool take_kind(std::string_view& text, std::string_view kind) {
  if (!text.starts_with(kind)) return false;
  text.remove_prefix(kind.size());
  return true;
}

}  // namespace

std::string encode(const Serving& serving) {
  return text_of("",
                 {serving.detachable ? 1U : 0U, serving.attached ? 1U : 0U,
                  static_cast<std::uint64_t>(serving.pid)},
                 serving.id + " " + serving.command);
}

std::optional<Serving> decode_serving(std::string_view text) {
  unsigned detachable = 0;
  unsigned attached = 0;
  pid_t pid = 0;
  if (!take(text, detachable) || !take(text, attached) || !take(text, pid)) return std::nullopt;
  auto space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return Serving{.id = std::string(text.substr(0, space)),
                 .detachable = detachable != 0,
                 .attached = attached != 0,
                 .pid = pid,
                 .command = std::string(text.substr(space + 1))};
}

Result<> send_on_line(const Fd& line, const Serving& serving) {
  return send_message(line, std::string(kServing) + encode(serving), {});
}

Result<> send_on_line(const Fd& line, const Resumption& resumption) {
  return send_with(line,
                   text_of(kResume, {resumption.received, resumption.attachment}, resumption.id),
                   resumption.connection);
}

Result<> send_on_line(const Fd& line, const Attachment& attachment) {
  const auto& size = attachment.terminal;
  return send_with(
      line,
      text_of(kAttach, {size.rows, size.columns, size.x_pixels, size.y_pixels}, attachment.id),
      attachment.connection);
}

Result<> send_on_line(const Fd& line, const ListRequest& request) {
  return send_with(line, std::string(kList), request.connection);
}

Result<std::optional<LineMessage>> receive_from_line(const Fd& line) {
  auto message = receive_message(line);
  if (!message) return propagate(message);
  if (!*message) return std::nullopt;
  std::string_view text = (*message)->text;
  auto& fds = (*message)->fds;
  if (take_kind(text, kServing) && fds.empty()) {
    auto serving = decode_serving(text);
    if (!serving) return unknown((*message)->text);
    return std::move(*serving);
  }
  if (fds.size() != 1) return unknown((*message)->text);
  if (text == kList) return ListRequest{std::move(fds.front())};
  if (take_kind(text, kResume)) {
    Resumption resumption;
    if (!take(text, resumption.received) || !take(text, resumption.attachment))
      return unknown((*message)->text);
    resumption.id = text;
    resumption.connection = std::move(fds.front());
    return resumption;
  }
  Attachment attachment;
  auto& size = attachment.terminal;
  if (!take_kind(text, kAttach) || !take(text, size.rows) || !take(text, size.columns) ||
      !take(text, size.x_pixels) || !take(text, size.y_pixels))
    return unknown((*message)->text);
  attachment.id = text;
  attachment.connection = std::move(fds.front());
  return attachment;
}

}  // namespace capsem::guest::pty_agent
