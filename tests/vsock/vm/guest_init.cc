// PID 1 of the guest in the vsock VM tests and the vsock benchmark: loads the modules of /modules
// in the order of their names, brings up eth0 when there is one, starts the services, and carries
// out what the host says on the control connection until that ends.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/vsock/vm/guest_commands.h"
#include "tests/vsock/vm/guest_socket.h"

namespace capsem::vsock {
namespace {

void load_modules() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("/modules")) {
    paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  for (const std::filesystem::path& path : paths) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (::syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST) {
      std::printf("cannot load %s: %s\n", path.c_str(), std::strerror(errno));
    }
  }
}

void set_address(const Fd& socket, unsigned long request, const char* text) {
  ifreq interface{};
  std::strcpy(interface.ifr_name, "eth0");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, text, &address.sin_addr);
  std::memcpy(&interface.ifr_addr, &address, sizeof address);
  ::ioctl(socket.get(), request, &interface);
}

// The addresses of QEMU's user-mode network.
void bring_up_network() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  set_address(socket, SIOCSIFADDR, "10.0.2.15");
  set_address(socket, SIOCSIFNETMASK, "255.255.255.0");
  ifreq interface{};
  std::strcpy(interface.ifr_name, "eth0");
  interface.ifr_flags = IFF_UP | IFF_RUNNING;
  ::ioctl(socket.get(), SIOCSIFFLAGS, &interface);
}

void serve_host() {
  Result<Fd> control = connect_to("vsock:" + std::to_string(kControlPort));
  if (!control || !send_line(*control, "hello")) {
    std::printf("%s\n", control ? "the host is gone" : control.error().message().c_str());
    return;
  }
  while (const auto line = receive_line(*control)) {
    if (*line == "reboot") {
      ::reboot(RB_AUTOBOOT);
    }
    send_line(*control, carry_out(*line));
  }
}

int run() {
  ::mkdir("/dev", 0755);
  ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  const rlimit files{.rlim_cur = 65536, .rlim_max = 65536};
  ::setrlimit(RLIMIT_NOFILE, &files);
  load_modules();
  bring_up_network();
  std::printf("services: %s\n", start_services().c_str());
  std::fflush(stdout);
  serve_host();
  ::reboot(RB_POWER_OFF);
  return 1;
}

}  // namespace
}  // namespace capsem::vsock

int main() {
  return capsem::vsock::run();
}
