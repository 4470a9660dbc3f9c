#include "guest/pty-agent/handover.h"

#include <array>
#include <charconv>
#include <utility>

#include "base/message_socket.h"

namespace capsem::guest::pty_agent {
namespace {

// "serving ID", or "resume RECEIVED ID" with the connection.
constexpr std::string_view kServing = "serving ";
constexpr std::string_view kResume = "resume ";

std::unexpected<Error> unknown(const std::string& text) {
  return fail("understand", "the agent's line", "it says '" + text + "'", "", ErrorKind::kInvalid);
}

}  // namespace

Result<> send_on_line(const Fd& line, const Serving& serving) {
  return send_message(line, std::string(kServing) + serving.id, {});
}

Result<> send_on_line(const Fd& line, const Resumption& resumption) {
  std::array<int, 1> fds = {resumption.connection.get()};
  return send_message(
      line, std::string(kResume) + std::to_string(resumption.received) + " " + resumption.id, fds);
}

Result<std::optional<LineMessage>> receive_from_line(const Fd& line) {
  auto message = receive_message(line);
  if (!message) return propagate(message);
  if (!*message) return std::nullopt;
  std::string_view text = (*message)->text;
  if (text.starts_with(kServing) && (*message)->fds.empty())
    return Serving{std::string(text.substr(kServing.size()))};
  Resumption resumption;
  if (!text.starts_with(kResume) || (*message)->fds.size() != 1) return unknown((*message)->text);
  text.remove_prefix(kResume.size());
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), resumption.received);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (error != std::errc() || !text.starts_with(' ')) return unknown((*message)->text);
  resumption.id = text.substr(1);
  resumption.connection = std::move((*message)->fds.front());
  return resumption;
}

}  // namespace capsem::guest::pty_agent
