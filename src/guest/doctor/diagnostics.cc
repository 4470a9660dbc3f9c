#include "guest/doctor/diagnostics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "guest/doctor/child.h"
#include "guest/doctor/diagnostics_results.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

constexpr const char* kDirectory = "/capsem/diagnostics";
constexpr std::chrono::minutes kLimit{10};
constexpr const char* kRunName = "the run";
constexpr const char* kRunExpected = "pytest comes to its end and tells of its tests";

constexpr int kResultsFd = 3;
constexpr std::size_t kTailBytes = 2000;

// https://docs.pytest.org/en/7.2.x/reference/exit-codes.html
struct ExitCode {
  int code;
  const char* words;
};
constexpr ExitCode kExitCodes[] = {
    {2, "it was interrupted, or a file of tests could not be read"},
    {3, "it failed inside"},
    {4, "its command line was wrong"},
    {5, "it found no tests"},
};
constexpr int kTestsFailed = 1;

// The end of what pytest printed.
class Tail {
 public:
  void take(std::string_view bytes) {
    text_ += bytes;
    if (text_.size() > 2 * kTailBytes) text_.erase(0, text_.size() - kTailBytes);
  }
  bool holds(std::string_view words) const { return text_.find(words) != std::string::npos; }
  // Its lines between bars.
  std::string in_one_line() const {
    std::string line;
    auto end = text_.size() > kTailBytes ? text_.substr(text_.size() - kTailBytes) : text_;
    for (auto part : split(trim(end), '\n')) {
      if (trim(part).empty()) continue;
      line += (line.empty() ? "" : " | ") + std::string(trim(part));
    }
    return line;
  }

 private:
  std::string text_;
};

// What else would have a say in which tests run, and by what.
constexpr std::string_view kLeftOut[] = {kResultsVariable, "PYTEST_", "PYTHON"};

std::vector<std::string> environment_with_results() {
  std::vector<std::string> variables;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable)
    if (std::ranges::none_of(kLeftOut, [&](std::string_view prefix) {
          return std::string_view(*variable).starts_with(prefix);
        }))
      variables.emplace_back(*variable);
  variables.push_back(std::string(kResultsVariable) + "=" + std::to_string(kResultsFd));
  return variables;
}

Outcome failed(std::string why, const Tail& tail) {
  auto output = tail.in_one_line();
  return expect(false, std::move(why) + (output.empty() ? "" : "; its output ends: " + output));
}

Outcome judge(const Result<std::optional<ExitStatus>>& status, const DiagnosticsRun& run,
              const Counts& counts, int unreadable, const Tail& tail) {
  if (!status) return expect(false, status.error().message());
  if (!*status) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(run.limit).count();
    return failed("it did not end within " + std::to_string(seconds) + " s", tail);
  }
  const ExitStatus& end = **status;
  int tests = counts.passed + counts.failed + counts.skipped;
  auto told = std::to_string(tests) + " tests, " + std::to_string(counts.failed) + " failed";
  if (end.signal == 0 && end.code == kTestsFailed && tests == 0 &&
      tail.holds("No module named pytest"))
    return skip("pytest is not installed");
  for (const auto& row : kExitCodes)
    if (end.signal == 0 && end.code == row.code) return failed(row.words, tail);
  if (end.signal != 0 || end.code > kTestsFailed) return failed(end.describe(), tail);
  if (unreadable > 0)
    return failed(std::to_string(unreadable) + " of the lines it told of tests cannot be read",
                  tail);
  if (tests == 0) return failed("it told of no test", tail);
  if ((end.code == kTestsFailed) != (counts.failed > 0))
    return failed(end.describe() + ", though it told of " + told, tail);
  return expect(true, told);
}

void show_progress(int tests) {
  auto line = "\r\x1b[Kdiagnostics: " + std::to_string(tests) + " tests";
  [[maybe_unused]] auto n = ::write(STDERR_FILENO, line.data(), line.size());
}

void clear_progress() {
  constexpr std::string_view kClear = "\r\x1b[K";
  [[maybe_unused]] auto n = ::write(STDERR_FILENO, kClear.data(), kClear.size());
}

}  // namespace

void run_diagnostics_with(const DiagnosticsRun& run, Report& report) {
  auto add_run = [&report](Outcome outcome, std::chrono::microseconds took) {
    report.add({kDiagnosticsGroup, kRunName, kRunExpected, std::move(outcome), took});
  };
  auto begin = std::chrono::steady_clock::now();
  auto results = make_pipe();
  auto output = make_pipe();
  auto null = open_file("/dev/null", O_RDONLY);
  if (!results || !output || !null) return add_run(expect(false, "no pipe can be made"), {});
  auto first = report.checks().size();
  Tail tail;
  ResultReader reader([&](Check check) {
    report.add(std::move(check));
    if (run.on_progress) run.on_progress(static_cast<int>(report.checks().size() - first));
  });
  Command command;
  command.argv = run.argv;
  command.environment = environment_with_results();
  command.fds = {{0, null->get()},
                 {1, output->second.get()},
                 {2, output->second.get()},
                 {kResultsFd, results->second.get()}};
  std::vector<Listener> listeners;
  listeners.push_back(
      {std::move(results->first), [&](std::string_view bytes) { reader.take(bytes); }});
  listeners.push_back(
      {std::move(output->first), [&](std::string_view bytes) { tail.take(bytes); }});
  auto status = run_watched(std::move(command), std::move(listeners), run.limit);
  reader.finish();
  auto counts = count(std::span(report.checks()).subspan(first));
  auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begin);
  add_run(judge(status, run, counts, reader.unreadable(), tail), took);
}

Items diagnostics_items(const Guest&) {
  return {{kRunName, kRunExpected, nullptr}, {"each test of pytest", "passed", nullptr}};
}

void run_diagnostics(const Guest&, Report& report) {
  auto skip_run = [&report](std::string why) {
    report.add({kDiagnosticsGroup, kRunName, kRunExpected, skip(std::move(why)), {}});
  };
  if (::access(kDirectory, R_OK) != 0) return skip_run(std::string("there is no ") + kDirectory);
  if (!find_program("python3")) return skip_run("python3 is not installed");
  bool terminal = ::isatty(STDERR_FILENO) == 1;
  // At fixed addresses, since an emulated processor finds the translation of a program again only
  // where it lay before; setarch is part of every Debian.
  DiagnosticsRun run{.argv = {"setarch", "-R", "python3", "-m", "pytest", "-p", "no:cacheprovider",
                              "-q", kDirectory},
                     .limit = kLimit,
                     .on_progress = {}};
  if (terminal) {
    run.on_progress = show_progress;
    show_progress(0);
  }
  run_diagnostics_with(run, report);
  if (terminal) clear_progress();
}

}  // namespace capsem::guest::doctor
