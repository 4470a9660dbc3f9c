#include "guest/pty-agent/space.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "guest/paths.h"
#include "guest/pty-agent/session_root.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr int kDirectoryOnly = O_PATH | O_DIRECTORY;

// What a privileged session sees of the machine besides its files.
struct Shared {
  const char* from;
  const char* to;  // below kSessionRoot
};
constexpr Shared kShared[] = {{"/proc", "proc"}, {"/sys", "sys"}, {"/dev", "dev"}};

Result<Space> own_space() {
  auto root = open_file("/", kDirectoryOnly);
  if (!root) return propagate(root);
  return Space{.root = std::move(*root)};
}

int enter_session_root() noexcept {
  if (::unshare(CLONE_NEWNS) != 0 || ::chdir(kSessionRoot) != 0) return errno;
  for (const auto& row : kShared)
    if (::mount(row.from, row.to, nullptr, MS_BIND | MS_REC, nullptr) != 0) return errno;
  return pivot_to(kSessionRoot);
}

}  // namespace

Result<Space> confined_space(pid_t init) {
  auto process = "/proc/" + std::to_string(init);
  auto root = open_file(process + "/root", kDirectoryOnly);
  if (!root) return propagate(root);
  auto pids = open_file(process + "/ns/pid", O_RDONLY);
  if (!pids) return propagate(pids);
  auto mounts = open_file(process + "/ns/mnt", O_RDONLY);
  if (!mounts) return propagate(mounts);
  auto network = network_of_sessions();
  if (!network) return propagate(network);
  return Space{.root = std::move(*root),
               .pid_namespace = std::move(*pids),
               .mount_namespace = std::move(*mounts),
               .network_namespace = std::move(*network),
               .capabilities = manifest::kSessionCapabilities};
}

Result<Fd> network_of_sessions() {
  return open_file(kSessionNetwork, O_RDONLY);
}

Result<Spaces> own_spaces() {
  auto ordinary = own_space();
  if (!ordinary) return propagate(ordinary);
  auto privileged = own_space();
  if (!privileged) return propagate(privileged);
  return Spaces{std::move(*ordinary), std::move(*privileged)};
}

Result<Fd> root_of_commands(const Space& space) {
  if (space.on_session_root) return open_file(kSessionRoot, kDirectoryOnly);
  return duplicate(space.root);
}

Result<> adopt_for_children(const Space& space) {
  if (space.pid_namespace && ::setns(space.pid_namespace->get(), CLONE_NEWPID) != 0)
    return fail_system("enter", "the sessions' pid namespace", errno);
  return {};
}

int enter(const Space& space) noexcept {
  if (space.network_namespace && ::setns(space.network_namespace->get(), CLONE_NEWNET) != 0)
    return errno;
  if (space.mount_namespace && ::setns(space.mount_namespace->get(), CLONE_NEWNS) != 0)
    return errno;
  if (space.on_session_root) return enter_session_root();
  return 0;
}

}  // namespace capsem::guest::pty_agent
