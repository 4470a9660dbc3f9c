#include "guest/init/session_limits.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "guest/init/kernel_settings.h"
#include "guest/paths.h"

namespace capsem::guest::init {
namespace {

// A shmem inode with its dentry: 704 and 192 bytes of Linux 6.1, and what their slabs waste.
constexpr std::uint64_t kInodeBytes = 1024;

// One service with work to do gets two thirds of a processor that sessions want as well, however
// many processes they have.
constexpr const char* kProcessorWeight = "50";

constexpr const char* kRootGroup = "/sys/fs/cgroup";

Result<std::string> read_small(const std::string& path) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return propagate(file);
  std::array<std::byte, 8192> buffer;
  auto size = read_full(*file, buffer, path);
  if (!size) return propagate(size);
  return std::string(as_text(std::span(buffer).first(*size)));
}

// The number behind `key` and blanks.
Result<std::uint64_t> number_in(std::string_view text, std::string_view key,
                                const std::string& path) {
  auto at = text.find(key);
  auto digits = at == std::string_view::npos ? at : text.find_first_not_of(" \t", at + key.size());
  std::uint64_t number = 0;
  if (digits == std::string_view::npos ||
      std::from_chars(text.data() + digits, text.data() + text.size(), number).ec != std::errc())
    return fail("find", std::string(key) + " in " + path, "it is not there");
  return number;
}

Result<MachineSize> measure() {
  const std::string memory_path = "/proc/meminfo";
  const std::string threads_path = "/proc/sys/kernel/threads-max";
  auto memory = read_small(memory_path);
  if (!memory) return propagate(memory);
  auto total = number_in(*memory, "MemTotal:", memory_path);
  if (!total) return propagate(total);
  auto available = number_in(*memory, "MemAvailable:", memory_path);
  if (!available) return propagate(available);
  auto text = read_small(threads_path);
  if (!text) return propagate(text);
  auto threads = number_in(*text, "", threads_path);
  if (!threads) return propagate(threads);
  return MachineSize{
      .memory_bytes = *total << 10, .available_bytes = *available << 10, .threads = *threads};
}

}  // namespace

SessionLimits limits_for(const MachineSize& machine) {
  const auto reserve = machine.memory_bytes / 16;
  const auto available = machine.available_bytes;
  return {
      // At least half of what there is, should a small machine have less than the reserve.
      .memory_bytes = std::max(available > reserve ? available - reserve : 0, available / 2),
      .processes = machine.threads * 3 / 10,
      .shared_pages = machine.memory_bytes / 20 / static_cast<std::uint64_t>(::getpagesize()),
  };
}

std::uint64_t inodes_for(std::uint64_t memory_bytes, unsigned percent) {
  return memory_bytes / 100 * percent / kInodeBytes;
}

Result<> limit_sessions() {
  auto machine = measure();
  if (!machine) return propagate(machine);
  const auto limits = limits_for(*machine);
  const std::string root = kRootGroup;
  const std::string group = kSessionsGroup;
  if (auto done = write_setting(root + "/cgroup.subtree_control", "+cpu +memory +pids"); !done)
    return done;
  if (::mkdir(kSessionsGroup, 0755) != 0)
    return fail_system("make the control group", group, errno);
  const std::pair<std::string, std::string> settings[] = {
      {group + "/memory.max", std::to_string(limits.memory_bytes)},
      {group + "/pids.max", std::to_string(limits.processes)},
      {group + "/cpu.weight", kProcessorWeight},
      // For a group of each session.
      {group + "/cgroup.subtree_control", "+memory +pids"},
      // What outlives the processes that made it: at most a twentieth of the memory in segments, 16
      // MiB in messages (kernel.msgmnb each), 2 MiB in semaphores.
      {"/proc/sys/kernel/shmall", std::to_string(limits.shared_pages)},
      {"/proc/sys/kernel/msgmni", "1024"},
      {"/proc/sys/kernel/sem", "1024\t16384\t500\t1024"},
      // Inherited by the services; sessions set their own.
      {"/proc/self/oom_score_adj", "-1000"},
  };
  for (const auto& [path, value] : settings)
    if (auto done = write_setting(path, value); !done) return done;
  return {};
}

}  // namespace capsem::guest::init
