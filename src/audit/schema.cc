#include "audit/schema.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <variant>

#include "audit/names.h"
#include "base/text.h"

namespace capsem::audit {
namespace {

constexpr char kToolSeparator = ',';

std::int64_t since_epoch(TimePoint at) {
  return std::chrono::duration_cast<microseconds>(at.time_since_epoch()).count();
}

std::int64_t as_integer(std::uint64_t count) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(count, kMax));
}

// The values of one row. What a kind of record does not have stays NULL.
class RowWriter {
 public:
  explicit RowWriter(Statement& statement) : statement_(statement) {}

  void set(Place place, std::string_view text) {
    if (!text.empty()) statement_.bind(parameter(place), text);
  }
  void set(Place place, std::int64_t value) { statement_.bind(parameter(place), value); }
  void set_count(Place place, std::uint64_t value) { set(place, as_integer(value)); }

  void set(const Process& process, const Judgement& judgement) {
    set_count(Place::kPid, process.pid);
    set_count(Place::kUid, process.uid);
    set(Place::kExecutable, process.executable);
    set(Place::kDecision, name(judgement.decision));
    set(Place::kRule, judgement.rule);
  }

  void set(const NameAsked& asked) {
    set(Place::kKind, kNameKind);
    set(Place::kAt, since_epoch(asked.at));
    set(Place::kHost, asked.name);
    set(Place::kMethod, asked.type);
    set(Place::kOutcome, name(asked.result));
    set(asked.process, asked.judgement);
  }

  void set(const Connection& connection) {
    set(Place::kKind, kConnectionKind);
    set(Place::kAt, since_epoch(connection.begin));
    set(Place::kDuration, connection.duration.count());
    set_count(Place::kConnection, connection.id);
    set(Place::kHost, connection.server_name);
    set(Place::kAddress, connection.address);
    set_count(Place::kPort, connection.port);
    set_count(Place::kSentBytes, connection.sent_bytes);
    set_count(Place::kReceivedBytes, connection.received_bytes);
    set(Place::kOutcome, name(connection.ending));
    set(Place::kReason, connection.reason);
    set(connection.process, connection.judgement);
  }

  void set(const Request& request) {
    set(Place::kKind, kRequestKind);
    set(Place::kAt, since_epoch(request.begin));
    set(Place::kDuration, request.duration.count());
    set_count(Place::kConnection, request.connection);
    set(Place::kHost, request.host);
    set_count(Place::kPort, request.port);
    set(Place::kScheme, request.scheme);
    set(Place::kProtocol, request.protocol);
    set(Place::kMethod, request.method);
    set(Place::kPath, request.path);
    set_count(Place::kStatus, request.status);
    set_count(Place::kSentBytes, request.sent_bytes);
    set_count(Place::kReceivedBytes, request.received_bytes);
    set(Place::kReason, request.reason);
    set(request.process, request.judgement);
    if (request.usage) set(*request.usage);
  }

  void set(const ModelUsage& usage) {
    for (const auto& tool : usage.tools) {
      if (!tools_.empty()) tools_ += kToolSeparator;
      for (char c : tool) tools_ += c == kToolSeparator ? '_' : c;
    }
    set(Place::kProvider, usage.provider);
    set(Place::kModel, usage.model);
    set_count(Place::kInputTokens, usage.input_tokens);
    set_count(Place::kCachedInputTokens, usage.cached_input_tokens);
    set_count(Place::kOutputTokens, usage.output_tokens);
    set(Place::kTools, tools_);
  }

  void set(const Dropped& dropped) {
    set(Place::kKind, kDroppedKind);
    set(Place::kAt, since_epoch(dropped.at));
    set_count(Place::kRecords, dropped.records);
  }

 private:
  static int parameter(Place place) { return static_cast<int>(place) + 1; }

  Statement& statement_;
  std::string tools_;  // until the statement has run
};

class RowReader {
 public:
  explicit RowReader(const Statement& statement) : statement_(statement) {}

  std::string text(Place place) const { return statement_.text(static_cast<int>(place)); }
  std::uint64_t count(Place place) const { return statement_.count(static_cast<int>(place)); }
  template <class Number>
  Number small(Place place) const {
    constexpr std::uint64_t kMax = std::numeric_limits<Number>::max();
    return static_cast<Number>(std::min(count(place), kMax));
  }
  TimePoint at() const {
    return TimePoint(microseconds(statement_.integer(static_cast<int>(Place::kAt))));
  }
  microseconds duration() const {
    return microseconds(statement_.integer(static_cast<int>(Place::kDuration)));
  }
  Process process() const {
    return {.pid = small<std::uint32_t>(Place::kPid),
            .uid = small<std::uint32_t>(Place::kUid),
            .executable = text(Place::kExecutable)};
  }
  // An unknown word is shown as the strictest.
  Judgement judgement() const {
    auto decision = parse_name<Decision>(text(Place::kDecision));
    return {.decision = decision.value_or(Decision::kDenied), .rule = text(Place::kRule)};
  }

  NameAsked name_asked() const {
    auto result = parse_name<NameResult>(text(Place::kOutcome));
    return {.at = at(),
            .name = text(Place::kHost),
            .type = text(Place::kMethod),
            .result = result.value_or(NameResult::kFailed),
            .judgement = judgement(),
            .process = process()};
  }

  Connection connection() const {
    auto ending = parse_name<Ending>(text(Place::kOutcome));
    return {.id = count(Place::kConnection),
            .begin = at(),
            .duration = duration(),
            .address = text(Place::kAddress),
            .port = small<std::uint16_t>(Place::kPort),
            .server_name = text(Place::kHost),
            .process = process(),
            .judgement = judgement(),
            .sent_bytes = count(Place::kSentBytes),
            .received_bytes = count(Place::kReceivedBytes),
            .ending = ending.value_or(Ending::kLost),
            .reason = text(Place::kReason)};
  }

  Request request() const {
    return {.connection = count(Place::kConnection),
            .begin = at(),
            .duration = duration(),
            .process = process(),
            .scheme = text(Place::kScheme),
            .protocol = text(Place::kProtocol),
            .host = text(Place::kHost),
            .port = small<std::uint16_t>(Place::kPort),
            .method = text(Place::kMethod),
            .path = text(Place::kPath),
            .status = small<std::uint16_t>(Place::kStatus),
            .judgement = judgement(),
            .sent_bytes = count(Place::kSentBytes),
            .received_bytes = count(Place::kReceivedBytes),
            .reason = text(Place::kReason),
            .usage = usage()};
  }

  std::optional<ModelUsage> usage() const {
    if (statement_.is_null(static_cast<int>(Place::kProvider))) return std::nullopt;
    ModelUsage usage{.provider = text(Place::kProvider),
                     .model = text(Place::kModel),
                     .input_tokens = count(Place::kInputTokens),
                     .cached_input_tokens = count(Place::kCachedInputTokens),
                     .output_tokens = count(Place::kOutputTokens)};
    auto tools = text(Place::kTools);
    if (tools.empty()) return usage;
    for (auto tool : split(tools, kToolSeparator)) usage.tools.emplace_back(tool);
    return usage;
  }

 private:
  const Statement& statement_;
};

}  // namespace

std::string column_list() {
  std::string list;
  for (const auto& column : kColumns) list += (list.empty() ? "" : ", ") + std::string(column.name);
  return list;
}

std::string creation() {
  std::string columns;
  for (const auto& column : kColumns)
    columns +=
        (columns.empty() ? "" : ", ") + std::string(column.name) + " " + std::string(column.type);
  return "CREATE TABLE records (" + columns +
         ");"
         // A connection's end takes the place of its begin.
         "CREATE UNIQUE INDEX connections ON records (run, connection) WHERE kind = 'connection';"
         "CREATE INDEX open_connections ON records (outcome) WHERE outcome = 'open';"
         "PRAGMA application_id = " +
         std::to_string(kApplication) + "; PRAGMA user_version = " + std::to_string(kVersion);
}

Result<> write_row(Statement& insert, RowNumber number, const Record& record) {
  RowWriter row(insert);
  row.set(Place::kSequence, number.sequence);
  row.set(Place::kRun, number.run);
  std::visit([&row](const auto& each) { row.set(each); }, record);
  return insert.run();
}

Result<Record> read_row(const Statement& statement) {
  RowReader row(statement);
  auto kind = row.text(Place::kKind);
  if (kind == kNameKind) return row.name_asked();
  if (kind == kConnectionKind) return row.connection();
  if (kind == kRequestKind) return row.request();
  if (kind == kDroppedKind) return Dropped{.at = row.at(), .records = row.count(Place::kRecords)};
  return fail("read", "a row of the network log", "there is no kind '" + printable(kind) + "'", "",
              ErrorKind::kInvalid);
}

}  // namespace capsem::audit
