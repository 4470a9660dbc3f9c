#include "base/progress.h"

#include <unistd.h>

#include <utility>

#include "base/text.h"

namespace capsem {
namespace {

constexpr std::chrono::seconds kFirst{1};
constexpr std::chrono::milliseconds kInterval{100};

void put(const std::string& line) {
  // To the line's start, and away with what was there (ECMA-48, EL).
  auto text = "\r\x1b[K" + line;
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      next_(Clock::now() + kFirst) {}

Progress::~Progress() {
  end();
}

void Progress::end() {
  if (std::exchange(shown_, false)) put("");
  terminal_ = false;
}

void Progress::update(std::uint64_t done, std::uint64_t total) {
  if (!terminal_ || Clock::now() < next_) return;
  next_ = Clock::now() + kInterval;
  shown_ = true;
  put("capsem: " + what_ + ": " +
      (total == 0 ? human_size(done) : std::to_string(done * 100 / total) + " %"));
}

}  // namespace capsem
