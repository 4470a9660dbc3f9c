// capsem logs NAME
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "api/json.h"
#include "api/vm_log.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

constexpr std::chrono::milliseconds kPause{200};
constexpr std::size_t kPieceBytes = 64 << 10;

struct Options {
  std::string name;
  bool follow = false;
  bool json = false;
};

// "2026-11-29 23:18:48.123 console  text", in local time.
std::string in_words(const api::LogLine& line) {
  auto seconds = static_cast<std::time_t>(line.at_ms / 1000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 32> time{};
  auto size = std::strftime(time.data(), time.size(), "%F %T", &local);
  auto fraction = std::to_string(1000 + line.at_ms % 1000).substr(1);
  auto kind = printable(line.kind);
  kind.resize(std::max<std::size_t>(kind.size(), 8), ' ');
  return std::string(time.data(), size) + "." + fraction + " " + kind + " " + printable(line.text);
}

// Prints the whole lines of one file as they come.
class Printer {
 public:
  Printer(Fd file, std::string name, bool json)
      : file_(std::move(file)), name_(std::move(name)), json_(json) {}

  // What has been written to it since the last call.
  Result<> go_on() {
    std::string buffer(kPieceBytes, '\0');
    for (;;) {
      auto n = read_full(file_, std::as_writable_bytes(std::span(buffer)), name_);
      if (!n) return propagate(n);
      if (*n == 0) return {};
      partial_.append(buffer, 0, *n);
      if (auto printed = print_lines(); !printed) return printed;
    }
  }

  // Whether its last state is the end, which a monitor writes unless it was killed.
  bool says_end() const { return says_end_; }

  // Whether the path is another file by now, so that nothing more comes.
  bool is_replaced(const std::filesystem::path& path) const {
    struct stat here{};
    struct stat there{};
    return ::fstat(file_.get(), &here) == 0 && ::stat(path.c_str(), &there) == 0 &&
           here.st_ino != there.st_ino;
  }

 private:
  Result<> print_lines() {
    auto end = partial_.rfind('\n');
    if (end == std::string::npos) return {};
    std::string text;
    for (auto line : split(std::string_view(partial_).substr(0, end), '\n')) {
      auto read = api::parse_log_line(line);
      // One that a full disk cut off.
      if (!read && !json_) continue;
      if (read && read->kind == api::name(api::EventKind::kState))
        says_end_ = read->text == api::name(api::State::kEnded);
      text += (json_ ? std::string(line) : in_words(*read)) + "\n";
    }
    partial_.erase(0, end + 1);
    return print(text);
  }

  Fd file_;
  std::string name_;
  bool json_;
  std::string partial_;
  bool says_end_ = false;
};

// What there is to say of a log that was followed to the VM's end, and does not tell of it.
Result<> explain_end(const client::Registry& registry, const std::string& name) {
  auto vm = registry.find(name);
  // What it would say of the same end is said below.
  [[maybe_unused]] auto notes = registry.take_notes();
  auto reason = vm && vm->record ? vm->record->reason : std::string();
  return fail("follow", "the log of VM '" + printable(name) + "' to its end",
              reason.empty() ? "its monitor did not write how it ended" : reason);
}

Result<std::unique_ptr<Printer>> open_log(const std::filesystem::path& path, bool json) {
  auto file = open_file(path, O_RDONLY | O_NOFOLLOW);
  if (!file && file.error().kind() == ErrorKind::kNotFound) return nullptr;
  if (!file) return propagate(file);
  return std::make_unique<Printer>(std::move(*file), path.string(), json);
}

Result<> print_log(const Options& options) {
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  auto found = registry->find(options.name);
  for (const auto& note : registry->take_notes()) say(note);
  if (!found) return propagate(found);
  auto directory = registry->state_directory(options.name);
  auto older = open_log(directory / api::kOlderLogFile, options.json);
  if (!older) return propagate(older);
  if (*older)
    if (auto printed = (*older)->go_on(); !printed) return printed;
  std::unique_ptr<Printer> current;
  bool was_running = false;
  for (;; std::this_thread::sleep_for(kPause)) {
    // Looked at first: what was written before its end is read below.
    auto ended = registry->wait_for_end(options.name, std::chrono::milliseconds(0));
    if (!ended) return propagate(ended);
    do {
      if (current == nullptr || current->is_replaced(directory / api::kLogFile)) {
        auto opened = open_log(directory / api::kLogFile, options.json);
        if (!opened) return propagate(opened);
        current = std::move(*opened);
      }
      if (current == nullptr) break;
      if (auto printed = current->go_on(); !printed) return printed;
    } while (current->is_replaced(directory / api::kLogFile));
    if (*ended && was_running && (current == nullptr || !current->says_end()))
      return explain_end(*registry, options.name);
    if (*ended || !options.follow) return {};
    was_running = true;
  }
}

}  // namespace

void add_logs(CLI::App& app, Action& action, const Signals&) {
  auto options = std::make_shared<Options>();
  auto* logs = app.add_subcommand("logs", "Print what a VM's console, services and monitor said");
  logs->add_option("NAME", options->name)->required()->option_text(" ");
  logs->add_flag("-f,--follow", options->follow, "Go on with what comes, until the VM has ended");
  logs->add_flag("--json", options->json,
                 "The lines as they are kept: an object each, with milliseconds since the epoch");
  logs->callback([&action, options] {
    action = [options] {
      auto printed = print_log(*options);
      return printed ? kSuccess : report(printed.error());
    };
  });
}

}  // namespace capsem::cli
