// What the host's first two services did for this session: PID 1's connection, over which the guest
// is configured, and the one that started the session.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/host_services.h"
#include "guest/vsock_address.h"

namespace capsem::guest::doctor {
namespace {

// The name comes from the host, after PID 1's hello.
Outcome host_name_is_set(const Guest&) {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return expect(false, std::strerror(errno));
  std::string text = name.data();
  return expect(!text.empty() && text != "(none)", text);
}

// PID 1 holds the listening socket; nobody else may take the port over.
Outcome port_is_taken(const Guest&) {
  Fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = vsock_address(VMADDR_CID_ANY, wire::kSessionPort.number);
  if (socket && ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
    return expect(false, "it could be taken");
  return expect(errno == EADDRINUSE, std::strerror(errno));
}

Outcome programs_are_in_path(const Guest&) {
  const char* path = ::getenv("PATH");
  auto parts = split(path != nullptr ? path : "", ':');
  bool found = std::ranges::find(parts, manifest::kProgramDirectory) != parts.end();
  return expect(found, path != nullptr ? path : "unset");
}

Outcome home_is_there(const Guest&) {
  const char* home = ::getenv("HOME");
  if (home == nullptr) return expect(false, "unset");
  return expect(::access(home, X_OK) == 0, home);
}

Outcome language_is_utf8(const Guest&) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = ::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    return expect(std::string_view(value).ends_with("UTF-8"), std::string(name) + "=" + value);
  }
  return expect(false, "unset");
}

constexpr std::array kControlRows = {
    CheckRow{"host name", "set by the host", host_name_is_set},
};

constexpr std::array kSessionRows = {
    CheckRow{"port 5001 of the guest", "Address already in use: PID 1 listens there",
             port_is_taken},
    CheckRow{"PATH", "holds /capsem/bin", programs_are_in_path},
    CheckRow{"HOME", "a directory", home_is_there},
    CheckRow{"language", "UTF-8", language_is_utf8},
};
static_assert(wire::kSessionPort.number == 5001);

}  // namespace

Items control_items(const Guest& guest) {
  return items_of(kControlRows, guest);
}

Items session_items(const Guest& guest) {
  return items_of(kSessionRows, guest);
}

}  // namespace capsem::guest::doctor
