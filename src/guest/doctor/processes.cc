#include "guest/doctor/processes.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/directory.h"
#include "base/file.h"
#include "base/text.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::uint64_t kStatusLimitBytes = 1 << 16;

template <class Number>
bool parse_number(std::string_view text, Number& number, int base = 10) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

// The value behind "KEY:" at the start of a line.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  for (auto line : split(text, '\n'))
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ':')
      return trim(line.substr(key.size() + 1));
  return std::nullopt;
}

std::string executable_of(pid_t pid) {
  auto link = "/proc/" + std::to_string(pid) + "/exe";
  std::array<char, 4096> target{};
  ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

std::optional<ProcessInfo> parse_status(std::string_view text) {
  ProcessInfo process;
  auto name = value_of(text, "Name");
  auto state = value_of(text, "State");
  auto pid = value_of(text, "Pid");
  auto parent = value_of(text, "PPid");
  auto permitted = value_of(text, "CapPrm");
  auto bounding = value_of(text, "CapBnd");
  if (!name || !state || state->empty() || !pid || !parent || !permitted || !bounding ||
      !parse_number(*pid, process.pid) || !parse_number(*parent, process.parent) ||
      !parse_number(*permitted, process.permitted, 16) ||
      !parse_number(*bounding, process.bounding, 16))
    return std::nullopt;
  process.name = *name;
  process.state = state->front();
  // What has ended has no memory either.
  process.is_kernel_thread =
      !value_of(text, "VmSize") && process.state != 'Z' && process.state != 'X';
  process.no_new_privileges = value_of(text, "NoNewPrivs").value_or("0") != "0";
  return process;
}

std::optional<ProcessInfo> see_process(pid_t pid) {
  auto text = read_file("/proc/" + std::to_string(pid) + "/status", kStatusLimitBytes);
  if (!text) return std::nullopt;
  auto process = parse_status(*text);
  if (process) process->executable = executable_of(pid);
  return process;
}

std::vector<ProcessInfo> see_processes() {
  std::vector<ProcessInfo> processes;
  auto names = names_in("/proc");
  if (!names) return processes;
  for (const auto& name : *names) {
    pid_t pid = 0;
    if (!parse_number(std::string_view(name), pid)) continue;
    if (auto process = see_process(pid)) processes.push_back(std::move(*process));
  }
  std::ranges::sort(processes, {}, &ProcessInfo::pid);
  return processes;
}

std::string describe(const ProcessInfo& process) {
  return std::to_string(process.pid) + " (" + process.name + ")";
}

}  // namespace capsem::guest::doctor
