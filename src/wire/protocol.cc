#include "wire/protocol.h"

namespace capsem::wire {

std::string version_mismatch_text(std::uint32_t host_protocol, std::uint32_t guest_protocol) {
  return "this capsem speaks protocol version " + std::to_string(host_protocol) +
         ", the program in the guest speaks version " + std::to_string(guest_protocol) +
         "; an old copy from the rootfs is the usual cause: run `capsem build-assets`";
}

}  // namespace capsem::wire
