// The command of a session: a process in a session (setsid(2)) of its own, on a pseudo-terminal or
// on three pipes.
#pragma once

#include <sys/types.h>

#include <expected>

#include "base/fd.h"
#include "guest/pty-agent/session_group.h"
#include "guest/pty-agent/space.h"
#include "wire/messages.h"

namespace capsem::guest::pty_agent {

// What the pipes of its output hold. Read as a whole: the command goes on with the first bytes that
// are taken, and the two take turns once for each part.
inline constexpr std::size_t kOutputPipeBytes = 256 << 10;

struct Child {
  pid_t pid = -1;  // also its process group and its session
  Fd process;      // a pidfd: readable once the process has ended
  bool has_terminal = false;

  // Our ends, all non-blocking. With a terminal, input and output are both its master.
  Fd input;
  Fd output;
  Fd error;  // not open with a terminal
  // With a terminal, the command's end of it. Held until the command has ended, so that a command
  // that closes and reopens its terminal does not look like one that ended.
  Fd slave;
};

// Starts what `start` asks for, in `space`, and in `group` unless that is null. Later children of
// this process are in the space as well. The error is the message that tells the host why not.
std::expected<Child, wire::Failed> start_child(const wire::SessionStart& start, const Space& space,
                                               const SessionGroup* group = nullptr);

// Starts one of the guest's own programs, without arguments, in the same way: `connection` is its
// standard input, and what it says goes nowhere.
std::expected<Child, wire::Failed> start_program(const char* program, const Fd& connection,
                                                 const Space& space, const SessionGroup* group);

// Sets the window size, which also signals the foreground processes (SIGWINCH).
void resize(const Child& child, const wire::TerminalSize& size);

// To the foreground process group of the terminal, or to the command's process group.
void send_signal(const Child& child, int number);

}  // namespace capsem::guest::pty_agent
