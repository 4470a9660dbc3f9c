// What the guest reaches over vsock, and what it must not: the ports of the host, all of them, and
// every other address.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/groups.h"
#include "guest/doctor/host_services.h"
#include "guest/doctor/vsock_socket.h"
#include "guest/vsock_address.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint32_t kFirstPort = 1;
constexpr std::uint32_t kLastPort = 10000;
constexpr std::chrono::seconds kScanLimit{20};
// The first address that a guest may have is 3 (virtio 1.2, section 5.10.4).
constexpr std::uint32_t kFirstGuestCid = 3;
constexpr std::uint32_t kGuestCidsTried = 64;

std::string in_words(const std::vector<std::uint32_t>& ports) {
  constexpr std::size_t kNamed = 8;
  std::vector<std::string> words;
  for (auto port : ports)
    if (words.size() < kNamed) words.push_back(std::to_string(port));
  if (ports.size() > kNamed)
    words.push_back("and " + std::to_string(ports.size() - kNamed) + " more");
  return words.empty() ? "none" : join(words, " ");
}

std::vector<std::uint32_t> accepting_ports() {
  std::vector<std::uint32_t> ports;
  for (const auto& service : host_services())
    if (service.answer == Answer::kAccepts) ports.push_back(service.port.number);
  return ports;
}

Outcome scan(const std::vector<std::uint32_t>& accepting) {
  auto scan = scan_host(kFirstPort, kLastPort, kScanLimit);
  std::ranges::sort(scan.connected);
  auto seen =
      "answering: " + in_words(scan.connected) + "; " + std::to_string(scan.refused) + " refused";
  if (!scan.unanswered.empty()) seen += "; neither: " + in_words(scan.unanswered);
  return expect(scan.connected == accepting && scan.unanswered.empty(), std::move(seen));
}

// Of a guest only the kernel knows: it lets a socket be bound to no other address of this kind.
std::uint32_t own_cid() {
  for (std::uint32_t cid = kFirstGuestCid; cid < kFirstGuestCid + kGuestCidsTried; ++cid) {
    Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto address = vsock_address(cid, VMADDR_PORT_ANY);
    if (socket && ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
      return cid;
  }
  return VMADDR_CID_ANY;
}

Outcome out_of_reach(const std::vector<std::uint32_t>& cids) {
  std::string seen;
  for (auto cid : cids) {
    int error = connect_vsock(cid, wire::kSessionPort.number);
    if (error == 0 || error == ETIMEDOUT)
      return expect(false, "CID " + std::to_string(cid) + ": " + doctor::in_words(error));
    seen = std::strerror(error);
  }
  return expect(true, seen);
}

Outcome hypervisor(const Guest&) {
  return out_of_reach({VMADDR_CID_HYPERVISOR});
}

Outcome local(const Guest&) {
  return out_of_reach({VMADDR_CID_LOCAL});
}

Outcome itself(const Guest&) {
  auto cid = own_cid();
  if (cid == VMADDR_CID_ANY) return expect(false, "this guest has no address");
  auto outcome = out_of_reach({cid});
  outcome.seen = "CID " + std::to_string(cid) + ": " + outcome.seen;
  return outcome;
}

Outcome other_machines(const Guest&) {
  auto own = own_cid();
  std::vector<std::uint32_t> cids = {kFirstGuestCid, 4, 5, 42, 1000, 0x7fffffff, 0xfffffffe};
  std::erase(cids, own);
  return out_of_reach(cids);
}

// The device has streams only; a transport of another kind would be one that nobody guards.
Outcome other_kinds(const Guest&) {
  for (int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    Fd socket(::socket(AF_VSOCK, type | SOCK_CLOEXEC, 0));
    if (!socket) continue;
    auto address = vsock_address(VMADDR_CID_HOST, wire::kControlPort.number);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
      return expect(false, type == SOCK_DGRAM ? "datagrams connect" : "packets connect");
  }
  return expect(true, "neither");
}

constexpr CheckRow kRows[] = {
    {"CID 0, the hypervisor", "out of reach", hypervisor},
    {"CID 1, local", "out of reach", local},
    {"the guest's own CID", "out of reach", itself},
    {"other machines", "out of reach", other_machines},
    {"datagrams and packets", "neither connects", other_kinds},
};

}  // namespace

Items vsock_items(const Guest& guest) {
  auto accepting = accepting_ports();
  Items items = {{"ports " + std::to_string(kFirstPort) + " to " + std::to_string(kLastPort),
                  "answering: " + in_words(accepting) + "; the others refused",
                  [accepting] { return scan(accepting); }}};
  add_rows(items, kRows, guest);
  return items;
}

}  // namespace capsem::guest::doctor
