#include "guest/pty-agent/session_group.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "guest/paths.h"

namespace capsem::guest::pty_agent {
namespace {

Result<std::string> read_small(const std::string& path) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return propagate(file);
  std::array<std::byte, 1024> buffer;
  auto size = read_full(*file, buffer, path);
  if (!size) return propagate(size);
  return std::string(as_text(std::span(buffer).first(*size)));
}

Result<> write_small(const std::string& path, std::string_view text) {
  auto file = open_file(path, O_WRONLY);
  if (!file) return propagate(file);
  return write_full(*file, as_bytes(text), path);
}

// The number at the beginning of `text`.
std::optional<std::uint64_t> leading_number(std::string_view text) {
  std::uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc())
    return std::nullopt;
  return number;
}

// "max" has no number: there is no limit to take a part of.
Result<> bound_processes(const std::string& path) {
  auto all = read_small(std::string(kSessionsGroup) + "/pids.max");
  if (!all) return propagate(all);
  auto most = leading_number(*all);
  if (!most) return {};
  return write_small(path + "/pids.max", std::to_string(*most / 2));
}

}  // namespace

Result<SessionGroup> SessionGroup::create(const std::string& name) {
  auto path = std::string(kSessionsGroup) + "/" + name;
  if (::mkdir(path.c_str(), 0755) != 0) return fail_system("make the control group", path, errno);
  auto group = find(name);
  if (!group) return group;
  if (auto bound = bound_processes(group->path_); !bound) {
    group->remove();
    return propagate(bound);
  }
  return group;
}

Result<SessionGroup> SessionGroup::find(const std::string& name) {
  auto path = std::string(kSessionsGroup) + "/" + name;
  auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return propagate(directory);
  return SessionGroup(std::move(path), std::move(*directory));
}

void SessionGroup::kill() const {
  // The file is always there (Linux 5.14), and takes nothing but this.
  [[maybe_unused]] auto written = write_small(path_ + "/cgroup.kill", "1");
}

unsigned SessionGroup::out_of_memory_kills() const {
  constexpr std::string_view kKey = "\noom_kill ";
  auto events = read_small(path_ + "/memory.events");
  if (!events) return 0;
  auto at = events->find(kKey);
  if (at == std::string::npos) return 0;
  return static_cast<unsigned>(
      leading_number(std::string_view(*events).substr(at + kKey.size())).value_or(0));
}

bool SessionGroup::remove() const {
  return ::rmdir(path_.c_str()) == 0 || errno != EBUSY;
}

}  // namespace capsem::guest::pty_agent
