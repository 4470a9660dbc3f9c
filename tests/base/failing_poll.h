// What poll(2) returns when it fails: for tests that an interrupted one is tried again and any
// other error is reported. For a child process (in_child.h).
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

namespace capsem::testing {

// From now on this process may have `descriptors` open and poll(2) fails with EINVAL for more of
// them. Ends the process by SIGALRM after 20 s, should it wait nevertheless.
inline void allow_descriptors(rlim_t descriptors) {
  ::alarm(20);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = descriptors;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// A shell's command that does the first to its parent process, which has begun to wait: before, it
// may still have descriptors to open.
inline std::string allow_parent_descriptors(rlim_t descriptors) {
  return "until grep -q '^State:.S' /proc/$PPID/status; do :; done; prlimit --pid $PPID --nofile=" +
         std::to_string(descriptors) + ":";
}

// From now on a signal arrives every 10 ms, so that poll(2) fails with EINTR.
inline void interrupt_often() {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, nullptr);
  const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 10'000},
                        .it_value = {.tv_sec = 0, .tv_usec = 10'000}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
}

}  // namespace capsem::testing
