// What took how long, from the start of `capsem run` to its end.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "api/types.h"

namespace capsem::client {

class Timeline {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Timeline(Clock::time_point zero) : zero_(zero) {}

  // Something that went on from `begin` to `end`.
  void add(std::string name, Clock::time_point begin, Clock::time_point end);
  // Something that happened at `when`.
  void mark(std::string name, Clock::time_point when) { add(std::move(name), when, when); }

  // Something that the monitor did.
  void add(const api::Span& span);

  // The guest's own part, laid into ours by the moment its hello arrived: from QEMU's start to the
  // kernel's first instruction, the kernel, each step of PID 1, and the hello. And what PID 1
  // deployed.
  void add_guest(const api::Guest& guest);

  // A table with one line for each: when it began, how long it took, its name; and behind it, one
  // with a line for each entry that PID 1 deployed or missed: where its copy came from, the first
  // digits of its SHA-256, its name.
  std::string table() const;

 private:
  struct Row {
    std::string name;
    Clock::time_point begin;
    Clock::time_point end;
  };

  Clock::time_point zero_;
  std::vector<Row> rows_;
  std::vector<DeployedEntry> entries_;
};

}  // namespace capsem::client
