// PID 1's end of port 5009, where the host brings changed entries. A process of its own receives,
// checks and copies them, so that PID 1 goes on meanwhile and whatever is wrong with them ends that
// process alone; it hands over a file system with the whole new set, or nothing.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "wire/messages.h"

namespace capsem::guest::init {

class DeployPort {
 public:
  // What the new set is for: mounted, and its services started. The error says why the old one
  // stays.
  using Apply = std::function<Result<>(const Fd& file_system)>;

  // Answers connections on `listener`. `init` is what the guest's init is said to be.
  DeployPort(Fd listener, DeployedEntry init)
      : listener_(std::move(listener)), init_(std::move(init)) {}

  // What to wait for, each -1 while it is nothing.
  std::array<int, 2> fds() const { return {listener_.get(), line_.get()}; }

  // One of them is ready.
  void accept();
  void read_line(const Apply& apply);

  // Whether a new set was applied and the host waits for what came of it.
  bool applied() const { return applied_; }
  // Tells the host, and is ready for the next.
  void finish(const wire::DeployDone& done);

 private:
  void finish(const std::string& failure);
  void end();

  Fd listener_;
  DeployedEntry init_;
  Fd connection_;  // of the deploy that is under way
  Fd line_;        // to its process
  bool applied_ = false;
};

}  // namespace capsem::guest::init
