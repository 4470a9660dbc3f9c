// SQLite as the audit uses it: an owned connection and owned statements, errors as values.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace capsem::audit {

// One prepared statement. Values are bound from 1 and read from 0, as SQLite counts.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  // Bound text has to stay until the next step().
  void bind(int place, std::string_view text);
  void bind(int place, std::int64_t value);
  void bind_null(int place);

  // Whether there is a row.
  Result<bool> step();
  // Runs a statement that has no rows, and makes it ready to be bound anew.
  Result<> run();
  void reset();

  std::int64_t integer(int column) const;
  std::uint64_t count(int column) const;  // 0 for what is negative
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

enum class Access { kWrite, kRead };

class Database {
 public:
  // `path` in a directory that has no link in its path; the file itself is not followed if it is
  // one. kWrite makes what is missing; kRead is kNotFound then. kDamaged when it is no database of
  // SQLite, or a damaged one, as far as opening shows.
  static Result<Database> open(const std::filesystem::path& path, Access access);

  Result<Statement> prepare(std::string_view sql) const;
  // One or more statements without rows.
  Result<> execute(const std::string& sql) const;
  // The first value of the first row; nothing without a row, or when the value is NULL.
  Result<std::optional<std::int64_t>> integer(std::string_view sql) const;
  // Whether its path is another file by now, or none.
  bool has_moved() const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}

  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace capsem::audit
