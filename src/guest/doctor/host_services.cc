#include "guest/doctor/host_services.h"

#include <sys/socket.h>
// After sys/socket.h, whose sa_family_t it uses.
#include <linux/vm_sockets.h>

#include "guest/doctor/vsock_socket.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::chrono::seconds kCloseLimit{2};

struct Expectation {
  Answer answer;
  const char* words;
};
constexpr Expectation kExpectations[] = {
    {Answer::kHeld, "refused: there is one connection, and PID 1 has it"},
    {Answer::kToGuest, "refused: the host connects to the guest"},
    {Answer::kAccepts, "it connects"},
    {Answer::kToRoot, "refused: it takes connections from root's ports only"},
    {Answer::kAbsent, "refused: this host has no such service yet"},
};

const char* expected_of(Answer answer) {
  for (const auto& row : kExpectations)
    if (row.answer == answer) return row.words;
  return "";
}

}  // namespace

std::vector<HostService> host_services() {
  return {
      {wire::kControlPort, Answer::kHeld, "PID 1's connection to the host", control_items},
      {wire::kSessionPort, Answer::kToGuest, "how the host starts sessions", session_items},
      {wire::kNetPort, Answer::kAccepts, "TCP to the outside, through the host", net_items},
      {wire::kMcpPort, Answer::kAbsent, "MCP: the guest's server, and the host's tools", mcp_items},
      {wire::kLifecyclePort, Answer::kToRoot, "shutdown, reboot, suspend", lifecycle_items},
      {wire::kTransferPort, Answer::kToGuest, "how the host copies files and reaches ports",
       nullptr},
      {wire::kAuditPort, Answer::kAbsent, "the record of what the guest did", nullptr},
      {wire::kDnsPort, Answer::kAccepts, "names", dns_items},
      {wire::kDeployPort, Answer::kToGuest, "how the host brings changed entries", nullptr},
  };
}

Outcome judge_port(Answer answer, int error) {
  if (answer == Answer::kAccepts || !is_refusal(error))
    return expect(answer == Answer::kAccepts && error == 0, in_words(error));
  if (answer == Answer::kAbsent) return absent("this host has no such service yet");
  return expect(true, in_words(error));
}

Outcome closed_without_an_answer(const wire::Port& port, const Result<std::string>& text) {
  if (!text) return expect(false, text.error().message());
  auto answer = answer_of_host(port.number, *text, kCloseLimit);
  if (!answer) return expect(false, "the host did not close it");
  if (!answer->empty()) return expect(false, std::to_string(answer->size()) + " bytes came back");
  return expect(true, "closed");
}

Items service_items(const HostService& service, const Guest& guest) {
  Items items = {{"port " + std::to_string(service.port.number), expected_of(service.answer),
                  [answer = service.answer, port = service.port.number] {
                    return judge_port(answer, connect_vsock(VMADDR_CID_HOST, port));
                  }}};
  if (service.items == nullptr) return items;
  for (auto& item : service.items(guest)) items.push_back(std::move(item));
  return items;
}

}  // namespace capsem::guest::doctor
