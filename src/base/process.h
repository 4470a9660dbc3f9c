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
  bool unprivileged = false;     // give_up_privileges(): no more than any user, even as root
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

// A child process. Signals that this process handles have their default action in the child; those
// it was started with as ignored stay ignored there, but for SIGCHLD, SIGPIPE and SIGXFSZ.
class Process {
 public:
  Process(Process&&) noexcept = default;
  Process& operator=(Process&& other) noexcept;
  // Kills and reaps a child that was not waited for.
  ~Process();

  // Starts `command`. Fails (with the system's reason) also when the program cannot be executed. A
  // process that ignores SIGCHLD stops doing so, since waiting needs the status (waitpid(2)).
  static Result<Process> start(const Command& command);

  pid_t pid() const { return pid_; }
  // Readable when the process has ended (pidfd_open(2)).
  const Fd& pidfd() const { return pidfd_; }

  Result<ExitStatus> wait();
  // Without blocking: nothing while it is running.
  Result<std::optional<ExitStatus>> poll();
  void kill(int signal) const;

  // Lets it run on when this object, and this process, are gone.
  void release() { reaped_ = true; }

 private:
  Process(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void end();

  pid_t pid_ = -1;
  Fd pidfd_;
  bool reaped_ = false;  // or nobody of ours is to reap it
};

// The words as execve(2) takes them: a pointer to each and a null behind the last. Valid as long as
// `words` is.
std::vector<char*> exec_list(const std::vector<std::string>& words);

// What to do when fork(2) or the start of a thread fails with EAGAIN.
inline constexpr const char* kProcessLimitAdvice =
    "end other programs or raise the limit on processes and threads (ulimit -u)";

// Runs a command to its end and returns its standard output (up to `limit_bytes`). A status other
// than 0 is an error whose reason holds the last line of its standard error.
Result<std::string> run_for_output(Command command, std::size_t limit_bytes = 64 << 20);

// The absolute path of a program in PATH.
Result<std::filesystem::path> find_program(const std::string& name);

}  // namespace capsem
