// A test's steps in a child process, which may change what holds for a whole process.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace capsem::testing {

// The exit status of a child that does `steps` and exits with what they return; -1 when a signal
// ended it.
inline int in_child(const std::function<int()>& steps) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(steps());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace capsem::testing
