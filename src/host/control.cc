#include "host/control.h"

#include "base/fd.h"
#include "base/overloaded.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::host {
namespace {

std::unexpected<Error> refuse(std::string reason) {
  return fail("talk to", "the guest's init", std::move(reason), "", ErrorKind::kInvalid);
}

Result<> check_hello(const wire::Hello& hello, bool greeted) {
  if (greeted) return refuse("it said hello twice");
  if (hello.protocol == wire::kProtocol) return {};
  return refuse(wire::version_mismatch_text(wire::kProtocol, hello.protocol));
}

Result<> check_end(bool greeted, bool at_boundary) {
  if (greeted && at_boundary) return {};
  return fail("talk to", "the guest's init",
              at_boundary ? "it ended the connection before its hello"
                          : "it ended the connection in the middle of a message",
              "", ErrorKind::kClosed);
}

}  // namespace

Task<Result<>> serve_control(async::Stream& stream, wire::Configuration configuration,
                             ControlHandlers handlers) {
  wire::MessageDecoder<wire::GuestControl> decoder;
  bool greeted = false;
  for (;;) {
    auto message = decoder.next();
    if (!message) co_return propagate(message);
    if (!*message) {
      auto n = co_await stream.read_some(decoder.prepare());
      if (!n) co_return propagate(n);
      if (*n == 0) co_return check_end(greeted, decoder.at_boundary());
      decoder.commit(*n);
      continue;
    }
    auto* hello = std::get_if<wire::Hello>(&**message);
    if (hello != nullptr) {
      auto checked = check_hello(*hello, greeted);
      if (!checked) co_return propagate(checked);
      greeted = true;
      auto frame = wire::encode<wire::HostControl>(configuration);
      if (!frame) co_return propagate(frame);
      auto sent = co_await stream.write_all(as_bytes(*frame));
      if (!sent) co_return propagate(sent);
      handlers.on_hello(std::move(*hello));
      continue;
    }
    if (!greeted) co_return refuse("its first message is not a hello");
    std::visit(
        Overloaded{[](const wire::Hello&) {},
                   [&](const wire::Heartbeat& beat) { handlers.on_heartbeat(beat); },
                   [&](const wire::Failure& failure) { handlers.on_failure(failure); },
                   [&](const wire::ServiceEvent& event) { handlers.on_service_event(event); }},
        **message);
  }
}

}  // namespace capsem::host
