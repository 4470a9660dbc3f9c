// The network log: what a record costs the event loop's thread, and how many a second reach the
// disk.
//
//   audit_bench [DIRECTORY]    where the files go; by default where temporary ones do
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "audit/model_usage.h"
#include "audit/store.h"

namespace capsem::audit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kMaxAddNs = 2000;
constexpr double kMinRecordsPerSecond = 20'000;
constexpr double kMinAnswerMbPerSecond = 20;

Request a_request() {
  return {
      .connection = 1,
      .begin = std::chrono::system_clock::now(),
      .duration = std::chrono::milliseconds(120),
      .process = {.pid = 42, .uid = 0, .executable = "/usr/local/bin/node"},
      .scheme = "https",
      .protocol = "HTTP/2",
      .host = "registry.npmjs.org",
      .port = 443,
      .method = "GET",
      .path = "/@babel%2fcore/-/core-7.24.0.tgz?integrity=sha512-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      .status = 200,
      .judgement = {.decision = Decision::kInspected, .rule = "npm"},
      .sent_bytes = 0,
      .received_bytes = 154'000};
}

bool row(const char* name, double value, const char* unit, const char* sign, double bar,
         bool kept) {
  std::printf("%-44s %12.0f %-10s %s %-8.0f %s\n", name, value, unit, sign, bar,
              kept ? "ok" : "MISSED");
  return kept;
}

double ns(Clock::duration time) {
  return std::chrono::duration<double, std::nano>(time).count();
}

// A burst every some milliseconds, as of a package manager: 10,000 records a second.
bool measure_add(const std::filesystem::path& directory) {
  constexpr int kBursts = 400;
  constexpr int kBurst = 50;
  std::vector<double> times;
  Store store(directory, [](const std::string& text) { std::puts(text.c_str()); });
  for (int i = 0; i < kBursts; ++i) {
    std::vector<Record> records(kBurst, a_request());
    for (auto& record : records) {
      auto begin = Clock::now();
      store.add(std::move(record));
      times.push_back(ns(Clock::now() - begin));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::ranges::sort(times);
  bool kept = row("a record, on the loop's thread, median", times.at(times.size() / 2), "ns",
                  "<=", kMaxAddNs, times.at(times.size() / 2) <= kMaxAddNs);
  row("the same, 99 of 100", times.at(times.size() / 100 * 99), "ns", "", 0, true);
  return kept;
}

bool measure_rate(const std::filesystem::path& directory) {
  constexpr int kRecords = 400'000;  // so many that the oldest go
  auto begin = Clock::now();
  {
    Store store(directory, [](const std::string& text) { std::puts(text.c_str()); },
                {.waiting_records = 1 << 20, .waiting_bytes = std::size_t{1} << 30});
    for (int i = 0; i < kRecords; ++i) {
      store.add(a_request());
      if (i % 20'000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  auto rate = kRecords / (ns(Clock::now() - begin) / 1e9);
  return row("records to the disk, the oldest removed", rate, "1/s", ">=", kMinRecordsPerSecond,
             rate >= kMinRecordsPerSecond);
}

bool measure_usage() {
  constexpr std::size_t kBytes = 64 << 20;
  const std::string event =
      "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
      "\"type\":\"text_delta\",\"text\":\"some words of an answer, as they come\"}}\n\n";
  auto reader = ModelUsageReader::create({.host = "api.anthropic.com",
                                          .path = "/v1/messages",
                                          .content_type = "text/event-stream",
                                          .content_encoding = ""});
  auto begin = Clock::now();
  for (std::size_t fed = 0; fed < kBytes; fed += event.size()) reader->feed(event);
  auto rate = kBytes / 1e6 / (ns(Clock::now() - begin) / 1e9);
  return row("an answer of a model read, event by event", rate, "MB/s", ">=", kMinAnswerMbPerSecond,
             rate >= kMinAnswerMbPerSecond);
}

int run(const std::filesystem::path& parent) {
  auto directory = (parent / "audit-bench-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) return 2;
  bool kept = true;
  for (auto* measure : {measure_add, measure_rate}) {
    kept &= measure(directory);
    std::filesystem::remove_all(std::filesystem::path(directory) / "audit.db");
  }
  std::filesystem::remove_all(directory);
  kept &= measure_usage();
  return kept ? 0 : 1;
}

}  // namespace
}  // namespace capsem::audit

int main(int argc, char** argv) {
  return capsem::audit::run(argc > 1 ? argv[1] : std::filesystem::temp_directory_path());
}
