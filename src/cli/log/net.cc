// capsem log net NAME
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "audit/json.h"
#include "audit/reader.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/log/log.h"
#include "cli/log/net_text.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

constexpr std::chrono::milliseconds kPause{200};
constexpr std::size_t kPageEntries = 1000;

struct Options {
  std::string name;
  bool follow = false;
  bool json = false;
  bool denied = false;
  bool usage = false;
  std::optional<std::uint64_t> since_seconds;
  std::string har;
};

audit::Filter filter_of(const Options& options) {
  audit::Filter filter{.denied_only = options.denied, .requests_only = !options.har.empty()};
  // What a clock can count back to.
  constexpr std::uint64_t kMaxSeconds = 100ULL * 365 * 86'400;
  if (options.since_seconds)
    filter.since = std::chrono::system_clock::now() -
                   std::chrono::seconds(std::min(*options.since_seconds, kMaxSeconds));
  return filter;
}

// The log of one VM, which may have none yet.
class NetLog {
 public:
  explicit NetLog(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // Calls `take` for each page of what there is behind the last call, until it fails.
  template <class Take>
  Result<> go_on(const audit::Filter& filter, Take take) {
    auto reader = open();
    if (!reader) return propagate(reader);
    for (audit::Page page; *reader != nullptr && !page.is_last;) {
      auto read = (*reader)->after(sequence_, filter, kPageEntries);
      if (!read) return propagate(read, "read", "the network log");
      page = std::move(*read);
      sequence_ = page.sequence;
      if (auto taken = take(page.entries); !taken) return taken;
    }
    return {};
  }

  // Nothing where there is no log.
  Result<audit::Reader*> open() {
    // The monitor begins a new one when the old one is damaged, or was removed.
    if (reader_ && reader_->is_replaced()) {
      reader_.reset();
      sequence_ = 0;
    }
    if (reader_) return &*reader_;
    auto opened = audit::Reader::open(directory_);
    if (!opened && opened.error().kind() == ErrorKind::kNotFound) return nullptr;
    if (!opened) return propagate(opened);
    reader_ = std::move(*opened);
    return &*reader_;
  }

 private:
  std::filesystem::path directory_;
  std::optional<audit::Reader> reader_;
  std::int64_t sequence_ = 0;
};

Result<> print_entries(const Options& options, const client::Registry& registry, NetLog& log) {
  auto filter = filter_of(options);
  bool has_heads = options.json;
  auto print_page = [&](const std::vector<audit::Entry>& entries) {
    std::string text;
    for (const auto& entry : entries) {
      if (!std::exchange(has_heads, true)) text += net_heads() + "\n";
      text += (options.json ? audit::to_json(entry) : in_words(entry)) + "\n";
    }
    return print(text);
  };
  for (;; std::this_thread::sleep_for(kPause)) {
    // Looked at first: what was written before its end is read below.
    auto ended = registry.wait_for_end(options.name, std::chrono::milliseconds(0));
    if (!ended) return propagate(ended);
    if (auto printed = log.go_on(filter, print_page); !printed) return printed;
    if (*ended || !options.follow) return {};
  }
}

Result<> print_usage(const Options& options, NetLog& log) {
  auto reader = log.open();
  if (!reader) return propagate(reader);
  std::vector<audit::UsageSum> sums;
  if (*reader != nullptr) {
    auto read = (*reader)->usage(filter_of(options));
    if (!read) return propagate(read);
    sums = std::move(*read);
  }
  if (!options.json) return print(usage_table(sums));
  std::string lines;
  for (const auto& sum : sums) lines += audit::to_json(sum) + "\n";
  return print(lines);
}

Result<> write_har(const Options& options, const std::string& version, NetLog& log) {
  auto file = AtomicFile::create(options.har, 0600);
  if (!file) return propagate(file);
  auto text = audit::har_begin(version);
  bool is_first = true;
  auto write_page = [&](const std::vector<audit::Entry>& entries) -> Result<> {
    for (const auto& entry : entries) {
      const auto* request = std::get_if<audit::Request>(&entry.record);
      if (request == nullptr) continue;
      if (!std::exchange(is_first, false)) text += audit::kHarSeparator;
      text += audit::har_entry(entry, *request);
    }
    return file->write(as_bytes(std::exchange(text, {})));
  };
  if (auto written = log.go_on(filter_of(options), write_page); !written) return written;
  text += audit::kHarEnd;
  if (auto written = file->write(as_bytes(text)); !written) return written;
  return file->commit();
}

Result<> show(const Options& options, const std::string& version) {
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  auto found = registry->find(options.name);
  for (const auto& note : registry->take_notes()) say(note);
  if (!found) return propagate(found);
  NetLog log(registry->state_directory(options.name));
  if (!options.har.empty()) return write_har(options, version, log);
  if (options.usage) return print_usage(options, log);
  return print_entries(options, *registry, log);
}

// "0.1.0" of "capsem 0.1.0".
std::string version_of(const CLI::App& app) {
  auto words = app.version();
  return words.substr(words.rfind(' ') + 1);
}

}  // namespace

void add_log_net(CLI::App& log, Action& action) {
  auto options = std::make_shared<Options>();
  auto* net = log.add_subcommand(
      "net", "Print the names, connections and requests of a VM, and what was decided of them");
  net->add_option("NAME", options->name)->required()->option_text(" ");
  auto* follow = net->add_flag("-f,--follow", options->follow,
                               "Go on with what comes, until the VM has ended");
  auto* json = net->add_flag("--json", options->json,
                             "An object a line; times in milliseconds since the epoch");
  net->add_flag("--denied", options->denied, "Only what was denied");
  net->add_option("--since", options->since_seconds,
                  "Only what began since then: seconds, or a number with s, m, h or d")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, std::uint64_t>{
                                            {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86'400}})
                      .description(""))
      // Run first, as what is added last: CLI11 takes -1 for a large number.
      ->transform(CLI::Validator(
          [](const std::string& text) {
            return text.starts_with('-') ? "a time is not negative" : "";
          },
          ""))
      ->type_name("DURATION");
  auto* usage = net->add_flag("--usage", options->usage,
                              "What the requests to models add up to, by model and host");
  net->add_option("--har", options->har,
                  "Write the requests to a file, as an HTTP archive (HAR 1.2)")
      ->type_name("FILE")
      ->excludes(follow)
      ->excludes(json)
      ->excludes(usage);
  usage->excludes(follow);
  net->callback([&action, &log, options] {
    action = [options, version = version_of(*log.get_parent())] {
      auto shown = show(*options, version);
      return shown ? kSuccess : report(shown.error());
    };
  });
}

}  // namespace capsem::cli
