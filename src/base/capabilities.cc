#include "base/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace capsem {
namespace {

int limit_bounding_set(std::uint64_t keep) noexcept {
  constexpr int kMost = 64;
  for (int number = 0; number < kMost; ++number) {
    int held = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (held < 0) break;  // this kernel has no more
    bool kept = (keep >> static_cast<unsigned>(number) & 1U) != 0;
    if (held == 1 && !kept && ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) return errno;
  }
  return 0;
}

int limit_other_sets(std::uint64_t keep) noexcept {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno;
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return errno;
  for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    auto half = static_cast<std::uint32_t>(keep >> (32 * i));
    sets[i].permitted &= half;
    sets[i].effective &= half;
    sets[i].inheritable = 0;
  }
  return ::syscall(SYS_capset, &header, sets) == 0 ? 0 : errno;
}

}  // namespace

int limit_capabilities(std::uint64_t keep) noexcept {
  int error = limit_bounding_set(keep);
  return error != 0 ? error : limit_other_sets(keep);
}

int give_up_privileges() noexcept {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  // Only CAP_SETPCAP may shrink the bounding set; the flag above keeps what it holds out of reach.
  int error = limit_bounding_set(0);
  return error != 0 && error != EPERM ? error : limit_other_sets(0);
}

}  // namespace capsem
