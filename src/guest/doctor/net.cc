// Connections of sessions as the host takes them: from the proxy alone, which has the token that
// PID 1 told the host.
#include <array>
#include <string>

#include "guest/doctor/host_services.h"
#include "wire/codec.h"
#include "wire/messages.h"

namespace capsem::guest::doctor {
namespace {

// As the proxy would for a connection to 192.0.2.1.
Outcome without_token(const Guest&) {
  const wire::NetOpen open{.token = std::string(wire::kNetTokenBytes, 'x'),
                           .address = {'\xc0', 0, 2, 1},
                           .port = 443,
                           .executable = "/usr/bin/true"};
  return closed_without_an_answer(wire::kNetPort, wire::encode<wire::GuestNet>(open));
}

constexpr std::array kRows = {
    CheckRow{"posing as the proxy", "closed without an answer", without_token},
};

}  // namespace

Items net_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
