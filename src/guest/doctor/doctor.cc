// capsem-doctor: whether this guest is as it should be.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/log.h"
#include "guest/doctor/groups.h"
#include "guest/doctor/options.h"
#include "guest/doctor/report.h"
#include "manifest/table.h"

namespace capsem::guest::doctor {
namespace {

constexpr int kNoneFailed = 0;
constexpr int kSomeFailed = 1;
constexpr int kUsage = 2;
constexpr std::uint64_t kTableLimitBytes = 1 << 20;

int failed(const Error& error) {
  say(error.message());
  return kSomeFailed;
}

int show(std::string_view text) {
  auto printed = print(text);
  return printed ? kNoneFailed : failed(printed.error());
}

// The groups that `options` ask for, in the order of the report.
std::vector<Group> chosen(const Options& options) {
  auto groups = all_groups();
  std::erase_if(groups, [&](const Group& group) { return leaves_out(options, group.name); });
  return groups;
}

std::string groups_in_words(const std::vector<Group>& groups) {
  std::size_t width = 0;
  for (const auto& group : groups) width = std::max(width, group.name.size());
  std::string text;
  for (const auto& group : groups)
    text += group.name + std::string(width - group.name.size() + 2, ' ') + group.about + "\n";
  return text;
}

std::string checks_in_words(const std::vector<Group>& groups, const Guest& guest) {
  std::string text;
  for (const auto& group : groups)
    for (const auto& item : group.items(guest))
      text += group.name + "  " + item.name + ": " + item.expected + "\n";
  return text;
}

std::chrono::microseconds processor_time() {
  std::chrono::microseconds sum{0};
  for (int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    if (::getrusage(who, &usage) != 0) continue;
    for (const auto& time : {usage.ru_utime, usage.ru_stime})
      sum += std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  }
  return sum;
}

void run_group(const Group& group, const Guest& guest, Report& report) {
  if (group.run != nullptr) return group.run(guest, report);
  for (const auto& item : group.items(guest)) {
    auto begin = std::chrono::steady_clock::now();
    auto outcome = item.look();
    auto took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - begin);
    report.add({group.name, item.name, item.expected, std::move(outcome), took});
    // Diagnostics are not the doctor's own checks, and take as long as they take.
    report.processor_time = processor_time();
  }
}

// A file appears whole or not at all; a pipe or a device is written to.
Result<> write_report(const std::string& path, std::string_view text) {
  struct stat status{};
  bool special = ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
  if (!special) return write_file_atomically(path, text);
  auto file = open_file(path, O_WRONLY | O_NOCTTY);
  if (!file) return propagate(file);
  if (auto written = write_full(*file, as_bytes(text), path); !written) return written;
  return file->close(path);
}

Result<> publish(const Options& options, const Report& report) {
  if (options.junit && *options.junit != "-")
    if (auto written = write_report(*options.junit, junit_of(report)); !written) return written;
  if (options.junit == "-") return print(junit_of(report));
  if (options.json) return print(json_of(report));
  return print(table(report, ::isatty(STDOUT_FILENO) == 1));
}

Result<Guest> see_guest() {
  auto text = read_file(manifest::kTablePath, kTableLimitBytes);
  if (!text) return propagate(text);
  auto manifest = manifest::decode_table(*text);
  if (!manifest) return propagate(manifest);
  return Guest{.manifest = std::move(*manifest), .processes = see_processes()};
}

int run_with(const Options& options) {
  if (options.help) return show(kHelp);
  auto groups = chosen(options);
  if (options.list && options.only.empty() && options.skip.empty())
    return show(groups_in_words(groups));
  auto guest = see_guest();
  if (!guest) {
    say(guest.error().message() + "; is this a capsem guest?");
    return kSomeFailed;
  }
  if (options.list) return show(checks_in_words(groups, *guest));
  Report report;
  for (const auto& group : groups) run_group(group, *guest, report);
  if (auto published = publish(options, report); !published) return failed(published.error());
  return count(report.checks()).failed == 0 ? kNoneFailed : kSomeFailed;
}

}  // namespace

int run(int argc, char** argv) {
  std::vector<std::string> names;
  for (const auto& group : all_groups()) names.push_back(group.name);
  auto options = parse_options({argv + std::min(argc, 1), argv + argc}, names);
  if (options) return run_with(*options);
  say(options.error().message());
  return kUsage;
}

}  // namespace capsem::guest::doctor
