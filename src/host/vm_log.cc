#include "host/vm_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <chrono>
#include <utility>

#include "api/json.h"
#include "api/vm_log.h"
#include "base/fd.h"

namespace capsem::host {
namespace {

Result<> append(const std::string& directory, std::uint64_t limit_bytes, const std::string& lines) {
  auto path = directory + "/" + api::kLogFile;
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 &&
      static_cast<std::uint64_t>(status.st_size) >= limit_bytes)
    ::rename(path.c_str(), (directory + "/" + api::kOlderLogFile).c_str());
  auto file = open_file(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600);
  if (!file) return propagate(file);
  return write_full(*file, as_bytes(lines), path);
}

std::string line_of(std::string_view kind, std::string_view text) {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  auto at = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return api::to_json(api::LogLine{.at_ms = static_cast<std::uint64_t>(at),
                                   .kind = std::string(kind),
                                   .text = std::string(text)}) +
         "\n";
}

}  // namespace

VmLog::VmLog(std::string directory, std::uint64_t limit_bytes)
    : directory_(std::move(directory)), limit_bytes_(limit_bytes) {}

void VmLog::add(std::string_view kind, std::string_view text) {
  if (waiting_.size() + text.size() > kMaxWaitingBytes) {
    ++left_out_;
    return;
  }
  if (left_out_ > 0)
    waiting_ += line_of(api::name(api::EventKind::kWarning),
                        std::to_string(std::exchange(left_out_, 0)) + " lines are left out here");
  waiting_ += line_of(kind, text);
  added_.notify();
}

Task<> VmLog::write() {
  auto work = [directory = directory_, limit = limit_bytes_, lines = std::exchange(waiting_, {})] {
    return append(directory, limit, lines);
  };
  // A log that cannot be written, on a full disk say, is no reason to end the VM.
  [[maybe_unused]] auto written = co_await disk_.run(std::move(work));
}

Task<> VmLog::run() {
  for (;;) {
    if (waiting_.empty()) co_await added_.wait();
    if (!waiting_.empty()) co_await write();
  }
}

Task<> VmLog::finish() {
  while (!waiting_.empty()) co_await write();
}

Task<> VmLog::follow(Events& events) {
  for (std::uint64_t since = 0;; co_await events.more(since)) {
    for (const auto& event : events.after(since)) {
      since = event.sequence;
      if (event.dropped > 0)
        add(api::name(api::EventKind::kWarning),
            std::to_string(event.dropped) + " more messages are left out");
      add(api::name(event.kind), event.text);
    }
  }
}

}  // namespace capsem::host
