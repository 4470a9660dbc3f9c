// The host's services as the guest meets them: for each vsock port what an attempt to connect
// gives, and the checks of the guest's side. A service that comes to be changes its row here.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "guest/doctor/check.h"
#include "wire/ports.h"

namespace capsem::guest::doctor {

enum class Answer {
  kHeld,     // one connection, which PID 1 has: another one is refused
  kToGuest,  // the host connects to the guest; the other way it is refused
  kAccepts,  // takes connections
  kToRoot,   // takes those of root's ports: another one, as an attempt makes it, is refused
  kAbsent,   // this host has no such service yet: refused
};

struct HostService {
  wire::Port port;
  Answer answer = Answer::kAbsent;
  std::string about;                             // a line for --list
  Items (*items)(const Guest& guest) = nullptr;  // of the guest's side, behind that of the port
};

// One for each of wire::kPorts, in its order.
std::vector<HostService> host_services();

// The check of the port and those of the guest's side.
Items service_items(const HostService& service, const Guest& guest);

// The verdict on a port that answered to connect(2) with `error` (0: it connected).
Outcome judge_port(Answer answer, int error);

// The verdict on a connection to `port` of the host that begins with `text`.
Outcome closed_without_an_answer(const wire::Port& port, const Result<std::string>& text);

Items control_items(const Guest& guest);
Items session_items(const Guest& guest);
Items mcp_items(const Guest& guest);
Items lifecycle_items(const Guest& guest);
Items net_items(const Guest& guest);
Items dns_items(const Guest& guest);

}  // namespace capsem::guest::doctor
