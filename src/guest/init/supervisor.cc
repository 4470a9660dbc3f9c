#include "guest/init/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

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
  for (const auto& listener : listeners)
    moved.push_back(::fcntl(listener.get(), F_DUPFD_CLOEXEC, behind(listeners.size())));
  for (int target = kFirstListenFd; int fd : moved) ::dup2(fd, target++);
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

Result<> Supervisor::add(const manifest::Entry& entry, std::vector<Fd> listeners) {
  Service service{.name = entry.name,
                  .argv = {entry.path},
                  .listeners = std::move(listeners),
                  .restart = entry.service->restart,
                  .capabilities = entry.service->capabilities};
  service.argv.insert(service.argv.end(), entry.service->arguments.begin(),
                      entry.service->arguments.end());
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
  // Of a program that was never executed, the process's own status says nothing.
  bool never_ran = !service->not_started.empty();
  schedule(*service, now, never_ran ? service->not_started : "ended with " + status.describe());
  return true;
}

void Supervisor::start_due(Clock::time_point now) {
  if (stopped_) return;
  for (auto& service : services_) {
    if (!service.due || *service.due > now) continue;
    auto started = start(service, now);
    if (started) continue;
    // A child that could not execute the program is reaped, and scheduled, like any other.
    if (service.pid == 0) schedule(service, now, started.error().message());
  }
}

std::optional<Clock::time_point> Supervisor::next_start() const {
  std::optional<Clock::time_point> next;
  for (const auto& service : services_)
    if (service.due && (!next || *service.due < *next)) next = service.due;
  return next;
}

}  // namespace capsem::guest::init
