// Attacks on PID 1 and on the services beside this session.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/attack.h"

namespace capsem::guest::doctor {
namespace {

constexpr pid_t kInit = 1;

// The real init, a kernel thread, or what the real init keeps running; not the PID 1 of sessions.
bool is_of_the_system(const ProcessInfo& process, const manifest::Manifest& manifest) {
  if (process.is_kernel_thread) return true;
  if (process.pid == kInit && process.name == kSessionInitName) return false;
  for (const auto& entry : manifest.entries)
    if ((entry.service || entry.is_init()) && process.executable == entry.path) return true;
  return false;
}

std::vector<ProcessInfo> services_in_sight(const Guest& guest) {
  std::vector<ProcessInfo> found;
  for (const auto& process : guest.processes)
    if (process.pid != kInit && !process.is_kernel_thread &&
        is_of_the_system(process, guest.manifest))
      found.push_back(process);
  return found;
}

std::string in_words(const std::vector<ProcessInfo>& processes) {
  constexpr std::size_t kNamed = 6;
  std::vector<std::string> words;
  for (const auto& process : processes)
    if (words.size() < kNamed) words.push_back(describe(process));
  if (processes.size() > kNamed)
    words.push_back("and " + std::to_string(processes.size() - kNamed) + " more");
  return join(words, ", ");
}

int open_memory(pid_t pid) {
  auto path = "/proc/" + std::to_string(pid) + "/mem";
  return error_of(Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)).get());
}

// PTRACE_SEIZE does not stop the process, and the end of this one detaches it.
int seize(pid_t pid) {
  return error_of(::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr));
}

// Signal 0 asks for permission alone.
int may_signal(pid_t pid) {
  return error_of(::kill(pid, 0));
}

int join_mounts(pid_t pid) {
  auto path = "/proc/" + std::to_string(pid) + "/ns/mnt";
  Fd mounts(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return mounts ? error_of(::setns(mounts.get(), CLONE_NEWNS)) : errno;
}

Outcome attack_in_child(int (*attempt)(pid_t), pid_t pid) {
  return in_child(Namespaces::kSame, [=] { return judge(attempt(pid), permission_refusals()); });
}

// The first service that does not refuse; where none is seen there is nothing to attack.
Outcome attack_services(int (*attempt)(pid_t), const Guest& guest) {
  auto services = services_in_sight(guest);
  for (const auto& service : services) {
    auto outcome = attack_in_child(attempt, service.pid);
    if (outcome.verdict != Verdict::kPass)
      return expect(false, describe(service) + ": " + outcome.seen);
  }
  return expect(true, services.empty() ? "no service is in sight" : "refused by each service");
}

// PID 1 of a namespace gets no signal that it does not handle from within (pid_namespaces(7)).
Outcome signal_init(int signal) {
  if (::kill(kInit, signal) != 0) return expect(true, std::strerror(errno));
  auto init = see_process(kInit);
  if (!init) return expect(false, "PID 1 is gone");
  bool stopped = init->state == 'T';
  if (stopped) ::kill(kInit, SIGCONT);
  return expect(!stopped, stopped ? "PID 1 was stopped" : "no effect on " + describe(*init));
}

Outcome system_is_out_of_sight(const Guest& guest) {
  std::vector<ProcessInfo> seen;
  for (const auto& process : guest.processes)
    if (is_of_the_system(process, guest.manifest)) seen.push_back(process);
  return expect(seen.empty(), seen.empty() ? "none" : in_words(seen));
}

constexpr std::array kRows = {
    CheckRow{"services, init, kernel threads", "none is in sight", system_is_out_of_sight},
    CheckRow{"memory of PID 1", "refused: Permission denied",
             [](const Guest&) { return attack_in_child(open_memory, kInit); }},
    CheckRow{"memory of services", "refused, or out of sight",
             [](const Guest& guest) { return attack_services(open_memory, guest); }},
    CheckRow{"ptrace of PID 1", "refused: Operation not permitted",
             [](const Guest&) { return attack_in_child(seize, kInit); }},
    CheckRow{"ptrace of services", "refused, or out of sight",
             [](const Guest& guest) { return attack_services(seize, guest); }},
    CheckRow{"signals to services", "refused, or out of sight",
             [](const Guest& guest) { return attack_services(may_signal, guest); }},
    CheckRow{"SIGKILL to PID 1", "no effect", [](const Guest&) { return signal_init(SIGKILL); }},
    CheckRow{"SIGSTOP to PID 1", "no effect", [](const Guest&) { return signal_init(SIGSTOP); }},
    CheckRow{"mount namespace of PID 1", "refused: Operation not permitted",
             [](const Guest&) { return attack_in_child(join_mounts, kInit); }},
};

}  // namespace

void add_process_attacks(Items& items, const Guest& guest) {
  add_rows(items, kRows, guest);
}

}  // namespace capsem::guest::doctor
