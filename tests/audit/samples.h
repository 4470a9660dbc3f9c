// Records as the parts of the network hand them over, and what is read back of a file.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "audit/reader.h"
#include "audit/records.h"

namespace capsem::audit::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline const TimePoint kNoon{seconds(1'800'000'000)};

inline NameAsked a_name(std::string name = "example.com") {
  return {.at = kNoon,
          .name = std::move(name),
          .type = "AAAA",
          .result = NameResult::kRefused,
          .judgement = {.decision = Decision::kDenied, .rule = "no rule"},
          .process = {.pid = 7, .uid = 1000, .executable = "/usr/bin/curl"}};
}

inline Connection a_connection(std::uint64_t id) {
  return {.id = id,
          .begin = kNoon,
          .duration = milliseconds(12),
          .address = "2001:db8::1",
          .port = 443,
          .server_name = "example.com",
          .process = {.pid = 8, .uid = 0, .executable = "/usr/bin/git"},
          .judgement = {.decision = Decision::kPassed, .rule = "github"},
          .sent_bytes = 517,
          .received_bytes = 5'000'000'000,
          .ending = Ending::kDone};
}

inline Request a_request() {
  return {.connection = 3,
          .begin = kNoon,
          .duration = milliseconds(1500),
          .process = {.pid = 9, .uid = 0, .executable = "/usr/bin/node"},
          .scheme = "https",
          .protocol = "HTTP/2",
          .host = "api.anthropic.com",
          .port = 443,
          .method = "POST",
          .path = "/v1/messages?beta=true",
          .status = 200,
          .judgement = {.decision = Decision::kInspected, .rule = "anthropic"},
          .sent_bytes = 4000,
          .received_bytes = 9000,
          .reason = "",
          .usage = ModelUsage{.provider = "anthropic",
                              .model = "claude-sonnet-4-5",
                              .input_tokens = 1200,
                              .cached_input_tokens = 1000,
                              .output_tokens = 300,
                              .tools = {"bash", "edit"}}};
}

inline std::vector<Record> records_in(const std::filesystem::path& directory,
                                      const Filter& filter = {}) {
  auto reader = Reader::open(directory);
  EXPECT_TRUE(reader) << reader.error().message();
  if (!reader) return {};
  auto page = reader->after(0, filter, 1'000'000);
  EXPECT_TRUE(page) << page.error().message();
  if (!page) return {};
  std::vector<Record> records;
  for (auto& entry : page->entries) records.push_back(std::move(entry.record));
  return records;
}

}  // namespace capsem::audit::testing
