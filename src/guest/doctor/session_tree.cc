// The processes of the session's namespace, and PID 1 of it, which reaps.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

constexpr int kReapMilliseconds = 2000;

void pause_briefly() {
  timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
  ::nanosleep(&pause, nullptr);
}

Outcome pid_1_is_the_reaper(const Guest&) {
  auto init = see_process(1);
  if (!init) return expect(false, "there is none");
  return expect(init->name == kSessionInitName, init->name);
}

// A process whose parent ends before it and which PID 1 therefore has to reap; its number, or -1.
pid_t leave_an_orphan() {
  auto pipe = make_pipe();
  if (!pipe) return -1;
  pid_t child = ::fork();
  if (child < 0) return -1;
  if (child == 0) {
    pid_t orphan = ::fork();
    if (orphan == 0) ::_exit(0);
    [[maybe_unused]] auto n = ::write(pipe->second.get(), &orphan, sizeof orphan);
    ::_exit(0);
  }
  pipe->second.reset();
  pid_t orphan = -1;
  auto n = ::read(pipe->first.get(), &orphan, sizeof orphan);
  ::waitpid(child, nullptr, 0);
  return n == sizeof orphan ? orphan : -1;
}

Outcome orphans_are_reaped(const Guest&) {
  pid_t orphan = leave_an_orphan();
  if (orphan < 0) return expect(false, "no process can be made");
  for (int waited = 0; waited < kReapMilliseconds; ++waited) {
    if (::kill(orphan, 0) != 0 && errno == ESRCH) return expect(true, "reaped");
    pause_briefly();
  }
  return expect(false, "process " + std::to_string(orphan) + " was not reaped in 2 s");
}

// Looked at twice: any process is a zombie for a moment.
Outcome no_zombies(const Guest& guest) {
  std::vector<std::string> zombies;
  for (const auto& process : guest.processes) {
    if (process.state != 'Z') continue;
    pause_briefly();
    auto later = see_process(process.pid);
    if (later && later->state == 'Z') zombies.push_back(describe(process));
  }
  return expect(zombies.empty(), zombies.empty() ? "none" : join(zombies, " "));
}

// Everything in a namespace of its own descends from its PID 1, or was put into it from outside and
// then has no parent here.
Outcome one_tree(const Guest& guest) {
  for (const auto& process : guest.processes)
    if (process.is_kernel_thread) return expect(false, describe(process) + " is a kernel thread");
  return expect(true, std::to_string(guest.processes.size()) + " processes");
}

Outcome self_is_in_sight(const Guest& guest) {
  for (const auto& process : guest.processes)
    if (process.pid == ::getpid()) return expect(true, describe(process));
  return expect(false, "/proc belongs to other processes");
}

constexpr std::array kRows = {
    CheckRow{"PID 1", kSessionInitName, pid_1_is_the_reaper},
    CheckRow{"orphans", "PID 1 reaps them", orphans_are_reaped},
    CheckRow{"zombies", "none", no_zombies},
    CheckRow{"in sight", "processes of sessions only", one_tree},
    CheckRow{"/proc", "of this namespace", self_is_in_sight},
};

}  // namespace

Items process_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
