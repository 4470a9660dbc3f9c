#include "wire/protocol.h"

#include <algorithm>

namespace capsem::wire {

bool is_session_id(std::string_view id) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !id.empty() && id.size() <= kMaxSessionIdBytes && std::ranges::all_of(id, allowed);
}

bool is_user(std::string_view text) {
  auto user = text.substr(0, text.find(':'));
  bool has_group = user.size() < text.size();
  auto group = has_group ? text.substr(user.size() + 1) : std::string_view();
  return !text.contains('\0') && !user.empty() && (!has_group || !group.empty()) &&
         !group.contains(':');
}

std::string version_mismatch_text(std::uint32_t host_protocol, std::uint32_t guest_protocol) {
  return "this capsem speaks protocol version " + std::to_string(host_protocol) +
         ", the program in the guest speaks version " + std::to_string(guest_protocol) +
         "; an old copy from the rootfs is the usual cause: run `capsem build-assets`";
}

}  // namespace capsem::wire
