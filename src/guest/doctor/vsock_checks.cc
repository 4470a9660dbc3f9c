// The host's vsock ports as the guest finds them.
#include <sys/socket.h>
// After sys/socket.h, whose sa_family_t it uses.
#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "guest/doctor/check.h"
#include "wire/ports.h"

namespace capsem::guest::doctor {
namespace {

// What connecting to `port` of `cid` gives: 0 or an errno value.
int connect_to(std::uint32_t cid, std::uint32_t port) {
  Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  int result = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  return result == 0 ? 0 : errno;
}

std::string in_words(int result) {
  return result == 0 ? "it connected" : std::strerror(result);
}

bool refused(int result) {
  return result == ECONNRESET || result == ECONNREFUSED;
}

Outcome other_ports_are_refused(const Guest&) {
  for (std::uint32_t port : {1U, 22U, 80U, 4999U, 5008U, 9999U}) {
    int result = connect_to(VMADDR_CID_HOST, port);
    if (!refused(result))
      return expect(false, "port " + std::to_string(port) + ": " + in_words(result));
  }
  return expect(true, "all six refused");
}

Outcome other_machines_are_out_of_reach(const Guest&) {
  int result = connect_to(42, wire::kSessionPort.number);
  return expect(result != 0, in_words(result));
}

}  // namespace

void check_vsock(const Guest&, std::vector<Check>& report) {
  for (const auto& port : wire::kPorts) {
    if (port.connector != wire::Connector::kGuest) continue;
    // The control port has one connection, which PID 1 holds; the services of the other ports do
    // not exist on this host. A port that answers would be one this doctor does not know.
    const bool control = port.number == wire::kControlPort.number;
    int result = connect_to(VMADDR_CID_HOST, port.number);
    report.push_back({"vsock", std::to_string(port.number) + " " + std::string(port.name),
                      control ? "refused: PID 1 has the one connection"
                              : "refused: the host has no such service yet",
                      expect(refused(result), in_words(result))});
  }
  constexpr CheckRow kRows[] = {
      {"other ports", "refused", other_ports_are_refused},
      {"other machines", "out of reach", other_machines_are_out_of_reach},
  };
  run_rows("vsock", kRows, {}, report);
}

}  // namespace capsem::guest::doctor
