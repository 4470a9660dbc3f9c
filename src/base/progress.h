// A line that tells how far something has come, for what takes longer than a moment. Host only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace capsem {

class Progress {
 public:
  // `what` is what is done, as in "packing x.img". Without a terminal on stderr nothing is shown.
  explicit Progress(std::string what);
  // As end().
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of `total`, in any unit; `total` 0 when it is not known, then `done` is bytes. Shown
  // after the first second, and at most ten times in each.
  void update(std::uint64_t done, std::uint64_t total);

  // Takes the line away, for good.
  void end();

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point next_;
};

}  // namespace capsem
