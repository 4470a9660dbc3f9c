#include "guest/init/network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"

namespace capsem::guest::init {

Result<> start_loopback() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_system("open", "an IPv4 socket", errno);
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    return fail_system("bring up the interface", "lo", errno);
  return {};
}

Result<> set_hostname(const std::string& name) {
  if (::sethostname(name.data(), name.size()) != 0)
    return fail_system("set the host name to", name, errno);
  return {};
}

}  // namespace capsem::guest::init
