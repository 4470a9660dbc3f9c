// guest.toml as data: every thing that enters the guest is one entry. See docs/guest-toml.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "manifest/capabilities.h"

namespace capsem::manifest {

// How PID 1 runs an entry that is a service.
struct Service {
  std::vector<std::string> arguments;  // after the program's name
  std::vector<std::uint32_t> listen;   // vsock ports whose sockets PID 1 passes, from fd 3 on
  bool network = false;                // gets the sockets of the sessions' network, from fd 3 on
  bool restart = true;                 // started again, with back-off, when it ends
  CapabilitySet capabilities = 0;      // all it can ever have
};

struct Entry {
  std::string name;                  // unique: lower-case letters, digits, '-'
  std::optional<std::string> build;  // folder in src/guest that holds the program's source
  std::optional<std::string> file;   // or a file or directory, relative to guest.toml
  std::string path;                  // absolute path in the guest
  std::uint32_t mode = 0;            // of the file, or of each file in the directory
  bool in_initrd = false;
  bool in_rootfs = false;
  bool essential = false;  // boot fails without it
  std::optional<Service> service;
  int line = 0;  // where guest.toml begins it, for messages

  bool is_init() const { return path == "/init"; }
};

struct Manifest {
  std::string file;  // what messages call it
  std::vector<Entry> entries;
};

// All entries but the init lie below this directory of the guest, which PID 1 mounts read-only.
inline constexpr const char* kGuestRoot = "/capsem";
inline constexpr const char* kProgramDirectory = "/capsem/bin";

// The vsock ports where the host listens, and no service of the guest: those of wire/ports.h, which
// this folder does not see.
inline constexpr std::array<std::uint32_t, 6> kHostPorts = {5000, 5002, 5003, 5004, 5006, 5007};

// The one where PID 1 listens itself (wire/ports.h).
inline constexpr std::uint32_t kInitPort = 5009;

}  // namespace capsem::manifest
