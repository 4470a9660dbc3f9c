#include "client/session_list.h"

#include <utility>
#include <variant>

#include "base/fd.h"
#include "base/text.h"
#include "client/session_link.h"
#include "wire/codec.h"
#include "wire/protocol.h"

namespace capsem::client {
namespace {

constexpr std::size_t kShortIdDigits = 8;

std::unexpected<Error> cannot_choose(std::string_view wanted, std::string reason) {
  auto what = wanted.empty() ? std::string("a session") : "session '" + printable(wanted) + "'";
  return fail("attach to", what, std::move(reason), "", ErrorKind::kNotFound);
}

std::string named(const std::vector<const wire::RunningSession*>& sessions) {
  std::string text;
  for (const auto* session : sessions) text += (text.empty() ? "" : ", ") + short_id(session->id);
  return text;
}

}  // namespace

Task<Result<std::vector<wire::RunningSession>>> list_sessions(async::Stream& stream) {
  auto frame = wire::encode(wire::HostSession(wire::SessionList{}));
  if (!frame) co_return propagate(frame);
  auto written = co_await stream.write_all(as_bytes(*frame));
  if (!written) co_return propagate(written, "list", "the sessions");
  wire::MessageDecoder<wire::GuestSession> decoder;
  auto answer = co_await receive_message(stream, decoder);
  if (!answer) co_return propagate(answer, "list", "the sessions");
  if (auto* list = std::get_if<wire::Sessions>(&*answer)) co_return std::move(list->sessions);
  std::string reason = "the agent in the guest answers something else";
  if (const auto* mismatch = std::get_if<wire::VersionMismatch>(&*answer))
    reason = wire::version_mismatch_text(wire::kProtocol, mismatch->guest_protocol);
  else if (const auto* failed = std::get_if<wire::Failed>(&*answer))
    reason = printable(failed->text);
  co_return fail("list", "the sessions", std::move(reason), "", ErrorKind::kInvalid);
}

std::string short_id(std::string_view id) {
  return printable(id.substr(0, kShortIdDigits));
}

Result<wire::RunningSession> choose_session(const std::vector<wire::RunningSession>& sessions,
                                            std::string_view wanted) {
  std::vector<const wire::RunningSession*> fitting;
  std::vector<const wire::RunningSession*> attached;
  for (const auto& session : sessions) {
    if (wanted.empty() ? !session.attached : session.id.starts_with(wanted))
      fitting.push_back(&session);
    else if (session.attached)
      attached.push_back(&session);
  }
  if (fitting.size() == 1) return *fitting.front();
  if (fitting.size() > 1) return cannot_choose(wanted, "there is more than one: " + named(fitting));
  if (!wanted.empty()) return cannot_choose(wanted, "there is none that begins so");
  if (attached.empty()) return cannot_choose(wanted, "there is none");
  return cannot_choose(wanted,
                       "each is attached to a terminal, and moves to this one only by its "
                       "name: " +
                           named(attached));
}

}  // namespace capsem::client
