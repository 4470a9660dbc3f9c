#include "guest/pty-agent/session_processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/directory.h"
#include "base/fd.h"
#include "base/text.h"
#include "guest/pty-agent/connection.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr std::chrono::seconds kHangUpLimit{2};
// SIGKILL cannot be refused; more than one round only for what was forked meanwhile.
constexpr int kKillRounds = 100;

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// proc(5), /proc/pid/stat: "pid (comm) state ppid pgrp session ..."; comm may hold anything, so the
// fields are counted from the last parenthesis.
bool is_running_member(const std::string& pid, pid_t session) {
  auto file = open_file("/proc/" + pid + "/stat", O_RDONLY);
  if (!file) return false;
  std::array<std::byte, 1024> buffer;
  auto size = read_full(*file, buffer, "stat");
  if (!size) return false;
  auto text = as_text(std::span(buffer).first(*size));
  auto comm_end = text.rfind(')');
  if (comm_end == std::string_view::npos || comm_end + 2 > text.size()) return false;
  auto fields = split(text.substr(comm_end + 2), ' ');
  if (fields.size() < 4) return false;
  bool ended = fields[0] == "Z" || fields[0] == "X";
  return !ended && parse<pid_t>(fields[3]) == session;
}

// A pidfd for each process of the session that has not ended.
std::vector<Fd> members(pid_t session) {
  std::vector<Fd> found;
  auto names = names_in("/proc");
  if (!names) return found;
  for (const auto& name : *names) {
    auto pid = parse<pid_t>(name);
    if (!pid || !is_running_member(name, session)) continue;
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
    // Looked at again: the number may have gone to another process in between.
    if (fd && is_running_member(name, session)) found.push_back(std::move(fd));
  }
  return found;
}

void signal_all(const std::vector<Fd>& processes, int number) {
  for (const Fd& process : processes)
    ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0);
}

void wait_all(const std::vector<Fd>& processes, Connection::Clock::time_point deadline) {
  for (const Fd& process : processes) {
    pollfd waiting{.fd = process.get(), .events = POLLIN, .revents = 0};
    while (::poll(&waiting, 1, milliseconds_until(deadline)) < 0 && errno == EINTR) {
    }
  }
}

}  // namespace

void end_session(pid_t session) {
  auto processes = members(session);
  signal_all(processes, SIGHUP);
  signal_all(processes, SIGCONT);
  wait_all(processes, Connection::Clock::now() + kHangUpLimit);
  kill_session(session);
}

void kill_session(pid_t session) {
  for (int round = 0; round < kKillRounds; ++round) {
    auto processes = members(session);
    if (processes.empty()) return;
    signal_all(processes, SIGKILL);
    wait_all(processes, Connection::Clock::now() + kHangUpLimit);
  }
}

}  // namespace capsem::guest::pty_agent
