// The file audit.db of a VM with a name: one table, a row for each name, connection and request.
// One and not three, so that its rows have one order, in which they are read, followed and removed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "audit/database.h"
#include "audit/records.h"

namespace capsem::audit {

// In the VM's directory of state.
inline constexpr const char* kFile = "audit.db";
// A file that the monitor could not use.
inline constexpr const char* kSetAsideFile = "audit.db.damaged";

// PRAGMA application_id, "capA": by which the file is known as ours.
inline constexpr std::int64_t kApplication = 0x63617041;
// PRAGMA user_version. To be raised with every change of kColumns.
inline constexpr std::int64_t kVersion = 1;

struct Column {
  std::string_view name;
  std::string_view type;
};

// In the order of Place.
inline constexpr std::array kColumns = {
    Column{"sequence", "INTEGER PRIMARY KEY"},
    Column{"run", "INTEGER NOT NULL"},    // of the VM, counted from 1
    Column{"kind", "TEXT NOT NULL"},      // name, connection, request, dropped
    Column{"at_us", "INTEGER NOT NULL"},  // since the epoch
    Column{"duration_us", "INTEGER"},
    Column{"connection", "INTEGER"},  // in its run
    Column{"pid", "INTEGER"},
    Column{"uid", "INTEGER"},
    Column{"executable", "TEXT"},
    Column{"host", "TEXT"},  // the name asked, the server name, the request's host
    Column{"address", "TEXT"},
    Column{"port", "INTEGER"},
    Column{"scheme", "TEXT"},
    Column{"protocol", "TEXT"},
    Column{"method", "TEXT"},  // of a request; the type of a name
    Column{"path", "TEXT"},
    Column{"status", "INTEGER"},
    Column{"sent_bytes", "INTEGER"},
    Column{"received_bytes", "INTEGER"},
    Column{"decision", "TEXT"},
    Column{"rule", "TEXT"},
    Column{"outcome", "TEXT"},  // NameResult or Ending
    Column{"reason", "TEXT"},
    Column{"provider", "TEXT"},
    Column{"model", "TEXT"},
    Column{"input_tokens", "INTEGER"},
    Column{"cached_input_tokens", "INTEGER"},
    Column{"output_tokens", "INTEGER"},
    Column{"tools", "TEXT"},       // names with a comma between them
    Column{"records", "INTEGER"},  // that were dropped
};

// A column's number as it is read.
enum class Place : int {
  kSequence,
  kRun,
  kKind,
  kAt,
  kDuration,
  kConnection,
  kPid,
  kUid,
  kExecutable,
  kHost,
  kAddress,
  kPort,
  kScheme,
  kProtocol,
  kMethod,
  kPath,
  kStatus,
  kSentBytes,
  kReceivedBytes,
  kDecision,
  kRule,
  kOutcome,
  kReason,
  kProvider,
  kModel,
  kInputTokens,
  kCachedInputTokens,
  kOutputTokens,
  kTools,
  kRecords,
};
static_assert(static_cast<std::size_t>(Place::kRecords) + 1 == kColumns.size());

inline constexpr std::string_view kNameKind = "name";
inline constexpr std::string_view kConnectionKind = "connection";
inline constexpr std::string_view kRequestKind = "request";
inline constexpr std::string_view kDroppedKind = "dropped";

// "sequence, run, ...", as SELECT and INSERT take it.
std::string column_list();

// The statements that make the tables in an empty file.
std::string creation();

// What stands in a row beside the record.
struct RowNumber {
  std::int64_t sequence = 0;
  std::int64_t run = 0;
};

// Runs `insert`, which has a parameter for each column, with the record's values.
Result<> write_row(Statement& insert, RowNumber number, const Record& record);

// The record of the row that `statement` stands at; kInvalid when it is none of ours.
Result<Record> read_row(const Statement& statement);

}  // namespace capsem::audit
