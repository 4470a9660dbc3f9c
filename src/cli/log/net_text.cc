#include "cli/log/net_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <variant>

#include "audit/json.h"
#include "audit/names.h"
#include "base/overloaded.h"
#include "base/text.h"
#include "cli/vm/table.h"

namespace capsem::cli {
namespace {

struct Column {
  std::string_view head;
  std::size_t width;  // what is longer moves the rest of its line
};

// The last has no width: it is as long as a guest makes it.
constexpr std::array kColumns = {
    Column{"TIME", 23},    Column{"DECISION", 9}, Column{"RESULT", 9},
    Column{"SENT", 7},     Column{"RECEIVED", 8}, Column{"TOOK", 7},
    Column{"PROCESS", 16}, Column{"RULE", 14},    Column{"WHAT", 0},
};
using Cells = std::array<std::string, kColumns.size()>;

std::string line_of(const Cells& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    auto cell = printable(cells.at(i));
    cell.resize(std::max(cell.size(), kColumns.at(i).width), ' ');
    line += (i == 0 ? "" : "  ") + cell;
  }
  return line;
}

// With milliseconds, as `capsem logs` has it.
std::string time_in_words(audit::TimePoint at) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  auto size = std::strftime(text.data(), text.size(), "%F %T", &local);
  return std::string(text.data(), size) + "." + std::to_string(1000 + ms % 1000).substr(1);
}

// "12 ms", "1.5 s", "3 min".
std::string took(audit::microseconds duration) {
  auto ms = duration.count() / 1000;
  if (ms < 1000) return std::to_string(ms) + " ms";
  constexpr std::int64_t kTenSeconds = 10'000;
  if (ms >= kTenSeconds) return age_in_words(static_cast<std::uint64_t>(ms) / 1000);
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(ms) / 1000);
  return text.data();
}

// "curl[7]"
std::string process_in_words(const audit::Process& process) {
  if (process.pid == 0) return "-";
  auto name = process.executable.substr(process.executable.rfind('/') + 1);
  return (name.empty() ? "?" : name) + "[" + std::to_string(process.pid) + "]";
}

std::string place_in_words(const audit::Connection& connection) {
  bool is_ipv6 = connection.address.contains(':');
  auto address = (is_ipv6 ? "[" + connection.address + "]" : connection.address) + ":" +
                 std::to_string(connection.port);
  return connection.server_name.empty() ? address : address + " " + connection.server_name;
}

std::string in_brackets(const std::string& note) {
  return note.empty() ? "" : " (" + note + ")";
}

// "claude-sonnet-4-5, 1200 tokens in, 300 out, bash, edit"
std::string usage_in_words(const audit::ModelUsage& usage) {
  auto words = usage.model + ", " + std::to_string(usage.input_tokens) + " tokens in, " +
               std::to_string(usage.output_tokens) + " out";
  for (const auto& tool : usage.tools) words += ", " + tool;
  return words;
}

Cells cells_of(const audit::NameAsked& asked) {
  return {time_in_words(asked.at),
          std::string(name(asked.judgement.decision)),
          std::string(name(asked.result)),
          "",
          "",
          "",
          process_in_words(asked.process),
          asked.judgement.rule,
          "name " + asked.type + " " + asked.name};
}

Cells cells_of(const audit::Connection& connection) {
  bool is_open = connection.ending == audit::Ending::kOpen;
  return {time_in_words(connection.begin),
          std::string(name(connection.judgement.decision)),
          std::string(name(connection.ending)),
          is_open ? "" : human_size(connection.sent_bytes),
          is_open ? "" : human_size(connection.received_bytes),
          is_open ? "" : took(connection.duration),
          process_in_words(connection.process),
          connection.judgement.rule,
          "connect " + place_in_words(connection) + in_brackets(connection.reason)};
}

Cells cells_of(const audit::Request& request) {
  auto what = request.method + " " + audit::url_of(request) + in_brackets(request.reason);
  if (request.usage) what += in_brackets(usage_in_words(*request.usage));
  return {time_in_words(request.begin),
          std::string(name(request.judgement.decision)),
          request.status == 0 ? "-" : std::to_string(request.status),
          human_size(request.sent_bytes),
          human_size(request.received_bytes),
          took(request.duration),
          process_in_words(request.process),
          request.judgement.rule,
          what};
}

Cells cells_of(const audit::Dropped& dropped) {
  return {time_in_words(dropped.at),
          "",
          "",
          "",
          "",
          "",
          "",
          "",
          std::to_string(dropped.records) +
              " records are missing here: they came faster than they could be written"};
}

}  // namespace

std::string net_heads() {
  Cells heads;
  for (std::size_t i = 0; i < heads.size(); ++i) heads.at(i) = kColumns.at(i).head;
  return line_of(heads);
}

std::string in_words(const audit::Entry& entry) {
  return std::visit([](const auto& record) { return line_of(cells_of(record)); }, entry.record);
}

std::string usage_table(const std::vector<audit::UsageSum>& sums) {
  std::vector<std::vector<std::string>> rows = {
      {"MODEL", "HOST", "REQUESTS", "INPUT", "CACHED", "OUTPUT"}};
  for (const auto& sum : sums)
    rows.push_back({printable(sum.model), printable(sum.host), std::to_string(sum.requests),
                    std::to_string(sum.input_tokens), std::to_string(sum.cached_input_tokens),
                    std::to_string(sum.output_tokens)});
  return table(rows);
}

}  // namespace capsem::cli
