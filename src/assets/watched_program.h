// A program that takes its time: what it says on stderr arrives line by line, its input is fed to
// it, and a signal to stop reaches it and its children.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/process.h"
#include "base/signals.h"

namespace capsem::assets {

// Called with each line of the program's stderr.
using OnLine = std::function<void(std::string_view line)>;

// The next piece of the program's input; an empty one ends it. A view is valid until the next call.
using Feed = std::function<Result<std::string_view>()>;

// Runs `command` to its end, in a session of its own. Standard output is where the command says;
// standard input comes from `feed` when there is one. A program that stops reading its input
// ends the feeding, not the run: its status tells why.
// kInterrupted when an ending signal arrived: the program and its children got it too and have
// ended (by SIGKILL when they took longer than 30 s). The error of `feed` ends them by SIGTERM.
Result<ExitStatus> run_watched(Command command, HeldSignals& signals, const OnLine& on_line,
                               const Feed& feed = {});

}  // namespace capsem::assets
