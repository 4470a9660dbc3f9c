#include "guest/init/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/process.h"
#include "guest/paths.h"

namespace capsem::guest::init {
namespace {

constexpr int kFirstListenFd = 3;  // SD_LISTEN_FDS_START

std::string milliseconds(Clock::duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
         " ms";
}

// The first descriptor behind those that `listeners` listeners have in their process.
int behind(std::size_t listeners) {
  return kFirstListenFd + static_cast<int>(listeners);
}

// By way of descriptors that none of them is to have.
void pass(const std::vector<Fd>& listeners) {
  std::vector<int> moved;
  moved.reserve(listeners.size());
  for (const auto& listener : listeners)
    moved.push_back(::fcntl(listener.get(), F_DUPFD_CLOEXEC, behind(listeners.size())));
  for (int target = kFirstListenFd; int fd : moved) ::dup2(fd, target++);
}

// Whether the process executes the file that lies at its program's path now.
bool executes(pid_t pid, const std::string& program) {
  struct stat running{};
  struct stat wanted{};
  auto link = "/proc/" + std::to_string(pid) + "/exe";
  return ::stat(link.c_str(), &running) == 0 && ::stat(program.c_str(), &wanted) == 0 &&
         running.st_dev == wanted.st_dev && running.st_ino == wanted.st_ino;
}

}  // namespace

// Between fork(2) and execve(2), in the child.
void Supervisor::run(const Service& service, int report) const {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  pass(service.listeners);
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  std::vector<std::string> environment = {std::string("PATH=") + kPath, "HOME=/root",
                                          "LANG=C.UTF-8"};
  if (!service.listeners.empty()) {
    environment.push_back("LISTEN_FDS=" + std::to_string(service.listeners.size()));
    environment.push_back("LISTEN_PID=" + std::to_string(::getpid()));
  }
  int reason = confine_(service.capabilities);
  if (reason == 0) {
    ::execve(service.argv[0].c_str(), exec_list(service.argv).data(),
             exec_list(environment).data());
    reason = errno;
  }
  [[maybe_unused]] auto written = ::write(report, &reason, sizeof reason);
  ::_exit(127);
}

Supervisor::Service Supervisor::make(const manifest::Entry& entry, std::vector<Fd> listeners) {
  Service service{.name = entry.name,
                  .argv = {entry.path},
                  .listeners = std::move(listeners),
                  .restart = entry.service->restart,
                  .capabilities = entry.service->capabilities};
  service.argv.insert(service.argv.end(), entry.service->arguments.begin(),
                      entry.service->arguments.end());
  return service;
}

Result<> Supervisor::add(const manifest::Entry& entry, std::vector<Fd> listeners) {
  auto service = make(entry, std::move(listeners));
  auto now = Clock::now();
  auto started = start(service, now);
  services_.push_back(std::move(service));
  // Nobody will be reaped who was never there.
  if (started || services_.back().pid != 0) return started;
  schedule(services_.back(), now, started.error().message());
  return {};
}

// PID 1 is single-threaded, so the child may prepare its own argument list after fork(2).
Result<> Supervisor::start(Service& service, Clock::time_point now) {
  service.started = now;
  service.due.reset();
  service.not_started.clear();
  service.killed = service.stuck = false;
  auto pipe = make_pipe();
  if (!pipe) return propagate(pipe, "start", service.name);
  pid_t pid = ::fork();
  if (pid < 0) return fail_system("start", service.name, errno);
  if (pid == 0) {
    // The pipe's end may be on a descriptor that a listener is to have.
    int report = ::fcntl(pipe->second.get(), F_DUPFD_CLOEXEC, behind(service.listeners.size()));
    run(service, report);
  }
  pipe->second.reset();
  service.pid = pid;
  int reason = 0;
  auto n = read_full(pipe->first, std::as_writable_bytes(std::span(&reason, 1)), service.name);
  if (!n || *n != sizeof reason) return {};
  auto error = Error::system("start", service.argv[0], reason);
  service.not_started = error.message();
  return std::unexpected(std::move(error));
}

void Supervisor::schedule(Service& service, Clock::time_point now, const std::string& why) {
  service.pid = 0;
  if (stopped_) return;
  if (!service.restart) return report_(service.name, why);
  if (now - service.started >= kWellAfter) service.delay = kFirstDelay;
  service.due = now + service.delay;
  report_(service.name, why + ", starting it again in " + milliseconds(service.delay));
  service.delay = std::min<Clock::duration>(service.delay * 2, kLongestDelay);
}

bool Supervisor::reaped(pid_t pid, const ExitStatus& status, Clock::time_point now) {
  auto service = std::ranges::find(services_, pid, &Service::pid);
  if (service == services_.end()) return false;
  if (std::exchange(service->change, Change::kNone) != Change::kNone) {
    service->pid = 0;
    service->delay = kFirstDelay;
    if (service->goes)
      services_.erase(service);
    else if (!stopped_)
      start_or_schedule(*service, now);
    return true;
  }
  // Of a program that was never executed, the process's own status says nothing.
  bool never_ran = !service->not_started.empty();
  schedule(*service, now, never_ran ? service->not_started : "ended with " + status.describe());
  return true;
}

void Supervisor::start_or_schedule(Service& service, Clock::time_point now) {
  auto started = start(service, now);
  // A child that could not execute the program is reaped, and scheduled, like any other.
  if (!started && service.pid == 0) schedule(service, now, started.error().message());
}

void Supervisor::start_due(Clock::time_point now) {
  if (stopped_) return;
  for (auto& service : services_) {
    look_after(service, now);
    if (service.due && *service.due <= now) start_or_schedule(service, now);
  }
}

std::optional<Clock::time_point> Supervisor::next_start() const {
  std::optional<Clock::time_point> next;
  auto add = [&](Clock::time_point due) {
    if (!next || due < *next) next = due;
  };
  for (const auto& service : services_) {
    if (service.due) add(*service.due);
    if (service.change == Change::kExecutes) add(service.looked_at + kChangeCheck);
    if (service.change != Change::kNone) add(service.change_limit);
  }
  return next;
}

// ---- services that become others

const Supervisor::Service* Supervisor::find(const std::string& name) const {
  auto found = std::ranges::find(services_, name, &Service::name);
  return found == services_.end() ? nullptr : &*found;
}

Supervisor::Service* Supervisor::find(const std::string& name) {
  return const_cast<Service*>(std::as_const(*this).find(name));
}

void Supervisor::begin_change(Service& service, Change change, int signal, Clock::time_point now) {
  service.change_limit = now + kChangeLimit;
  service.killed = service.stuck = false;
  service.looked_at = now;
  service.delay = kFirstDelay;
  if (service.pid == 0) {
    // One that has ended for good is not started again.
    if (service.due) service.due = now;
    return;
  }
  service.change = change;
  ::kill(service.pid, signal);
}

void Supervisor::replaced(const std::string& name, Clock::time_point now) {
  if (auto* service = find(name); service != nullptr)
    begin_change(*service, Change::kExecutes, SIGHUP, now);
}

void Supervisor::change(const manifest::Entry& entry, Clock::time_point now) {
  auto* service = find(entry.name);
  if (service == nullptr) return;
  auto changed = make(entry, std::move(service->listeners));
  changed.pid = service->pid;
  changed.due = service->due;
  *service = std::move(changed);
  begin_change(*service, Change::kEnds, SIGTERM, now);
}

void Supervisor::remove(const std::string& name, Clock::time_point now) {
  auto* service = find(name);
  if (service == nullptr) return;
  if (service->pid == 0) {
    std::erase_if(services_, [&](const Service& each) { return each.name == name; });
    return;
  }
  service->goes = true;
  begin_change(*service, Change::kEnds, SIGTERM, now);
}

void Supervisor::look_after(Service& service, Clock::time_point now) {
  if (service.change == Change::kNone) return;
  if (now >= service.change_limit) {
    service.stuck = service.killed;
    service.killed = true;
    ::kill(service.pid, SIGKILL);
    service.change = Change::kEnds;
    service.change_limit = now + kChangeLimit;
    return;
  }
  if (service.change != Change::kExecutes || now < service.looked_at + kChangeCheck) return;
  service.looked_at = now;
  if (executes(service.pid, service.argv[0])) service.change = Change::kNone;
}

bool Supervisor::settled() const {
  return std::ranges::all_of(services_, [](const Service& service) {
    return service.change == Change::kNone || service.stuck;
  });
}

pid_t Supervisor::pid_of(const std::string& name) const {
  const auto* service = find(name);
  bool runs = service != nullptr && service->not_started.empty() && !service->stuck;
  return runs ? service->pid : 0;
}

bool Supervisor::has_finished(const std::string& name) const {
  const auto* service = find(name);
  return service != nullptr && service->pid == 0 && !service->due && service->not_started.empty();
}

}  // namespace capsem::guest::init
