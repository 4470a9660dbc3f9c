#include "client/timeline.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"

namespace capsem::client {
namespace {

// As much of a hash as a person compares; the guest's /capsem/deployed has all of it.
constexpr std::size_t kShownDigits = 12;

// CLOCK_MONOTONIC, which is one for all processes of the host, is what a steady clock reads.
Timeline::Clock::time_point at(std::uint64_t us) {
  return Timeline::Clock::time_point(std::chrono::microseconds(us));
}

double milliseconds(Timeline::Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

void Timeline::add(std::string name, Clock::time_point begin, Clock::time_point end) {
  rows_.push_back({std::move(name), begin, end});
}

void Timeline::add(const api::Span& span) {
  add(span.name, at(span.begin_us), at(span.end_us));
}

void Timeline::add_guest(const api::Guest& guest) {
  auto started = at(guest.started_us);
  auto arrived = at(guest.arrived_us);
  // The guest's clock starts with its kernel. What it claims is cut to the time there was, before
  // it is reckoned with: its numbers may be as large as a number can be.
  auto most = std::chrono::duration_cast<std::chrono::microseconds>(arrived - started);
  auto lasting = [&](std::uint64_t us) {
    auto longest = static_cast<std::uint64_t>(std::max<std::int64_t>(most.count(), 0));
    return std::chrono::microseconds(std::min(us, longest));
  };
  auto kernel = arrived - lasting(guest.uptime_us);
  auto after = [&](Clock::time_point begin, std::uint64_t us) {
    return std::min<Clock::time_point>(arrived, begin + lasting(us));
  };
  add("QEMU and firmware", started, kernel);
  add("kernel", kernel,
      guest.steps.empty() ? arrived : after(kernel, guest.steps.front().start_us));
  for (const auto& step : guest.steps) {
    auto begin = after(kernel, step.start_us);
    add("init: " + printable(step.name), begin, after(begin, step.duration_us));
  }
  mark("hello", arrived);
  entries_ = guest.entries;
}

std::string Timeline::table() const {
  std::string text = "    at ms   took ms\n";
  for (const auto& row : rows_) {
    char line[64];
    std::snprintf(line, sizeof line, "%9.1f %9.1f  ", milliseconds(row.begin - zero_),
                  milliseconds(row.end - row.begin));
    text += line + row.name + "\n";
  }
  if (!entries_.empty()) text += "   origin  SHA-256       entry\n";
  for (const auto& entry : entries_) {
    const std::string origin(name_of(entry.origin));
    auto hash = entry.sha256 ? entry.sha256->hex().substr(0, kShownDigits) : "-";
    char line[64];
    std::snprintf(line, sizeof line, "%9s  %-12s  ", origin.c_str(), hash.c_str());
    text += line + printable(entry.name) + "\n";
  }
  return text;
}

}  // namespace capsem::client
