// Child processes: started with a chosen argument list, environment and set of descriptors,
// waited for through a pidfd, and ended together with their owner.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH unless it has a slash
  std::optional<std::vector<std::string>> environment;  // "NAME=value"; the parent's when absent
  std::filesystem::path directory;                      // working directory; the parent's if empty

  // Descriptors of the child: {number there, descriptor here}. 0, 1 and 2 that are not named are
  // the parent's; any other descriptor is closed. The caller keeps ownership.
  std::vector<std::pair<int, int>> fds;

  bool new_session = false;      // setsid(2): out of reach of the terminal's signals
  bool die_with_parent = false;  // SIGKILL when the thread that started it ends
};

// How a process ended.
struct ExitStatus {
  int code = 0;    // exit status, when it exited
  int signal = 0;  // the signal that ended it, or 0

  bool success() const { return code == 0 && signal == 0; }
  // As a shell reports it: the exit status, or 128 + signal.
  int shell_code() const { return signal != 0 ? 128 + signal : code; }
  std::string describe() const;  // "exit status 2", "signal 9 (Killed)"
};

class Process {
 public:
  Process(Process&&) noexcept = default;
  Process& operator=(Process&& other) noexcept;
  // Kills and reaps a child that was not waited for.
  ~Process();

  // Starts `command`. Fails (with the system's reason) also when the program cannot be executed.
  static Result<Process> start(const Command& command);

  pid_t pid() const { return pid_; }
  // Readable when the process has ended (pidfd_open(2)).
  const Fd& pidfd() const { return pidfd_; }

  Result<ExitStatus> wait();
  // Without blocking: nothing while it is running.
  Result<std::optional<ExitStatus>> poll();
  void kill(int signal) const;

 private:
  Process(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void end();

  pid_t pid_ = -1;
  Fd pidfd_;
  bool reaped_ = false;
};

// Runs a command to its end and returns its standard output (up to `limit_bytes`). A status other
// than 0 is an error whose reason holds the last line of its standard error.
Result<std::string> run_for_output(Command command, std::size_t limit_bytes = 64 << 20);

// The absolute path of a program in PATH.
Result<std::filesystem::path> find_program(const std::string& name);

}  // namespace capsem
