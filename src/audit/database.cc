#include "audit/database.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace capsem::audit {
namespace {

// A reader that begins or ends holds the file for milliseconds.
constexpr int kBusyLimitMs = 2000;
// Of one value or row in a file; ours have some KiB.
constexpr int kMaxValueBytes = 1 << 20;

struct Kind {
  int code;  // SQLite's, without its extension
  ErrorKind kind;
};
constexpr std::array kKinds = {
    Kind{SQLITE_CORRUPT, ErrorKind::kDamaged},
    Kind{SQLITE_NOTADB, ErrorKind::kDamaged},
    Kind{SQLITE_FULL, ErrorKind::kNoSpace},
    Kind{SQLITE_PERM, ErrorKind::kPermission},
    Kind{SQLITE_AUTH, ErrorKind::kPermission},
    Kind{SQLITE_READONLY, ErrorKind::kPermission},
    Kind{SQLITE_BUSY, ErrorKind::kTimeout},
    // Our statements are right, so it is the file's tables that are not.
    Kind{SQLITE_ERROR, ErrorKind::kDamaged},
};

std::unexpected<Error> fail_sqlite(std::string attempted, std::string subject,
                                   sqlite3* connection) {
  int code = sqlite3_errcode(connection) & 0xff;
  const auto* row = std::ranges::find(kKinds, code, &Kind::code);
  return fail(std::move(attempted), std::move(subject), std::string(sqlite3_errmsg(connection)), "",
              row == kKinds.end() ? ErrorKind::kOther : row->kind);
}

// What lies in the file counts as little as what a guest says.
void distrust(sqlite3* connection) {
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, kBusyLimitMs);
  sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, kMaxValueBytes);
  sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  for (int option : {SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_ENABLE_TRIGGER,
                     SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION})
    sqlite3_db_config(connection, option, 0, nullptr);
}

}  // namespace

void Statement::bind(int place, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), place, text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

void Statement::bind(int place, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), place, value);
}

void Statement::bind_null(int place) {
  sqlite3_bind_null(statement_.get(), place);
}

Result<bool> Statement::step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return fail_sqlite("use", "the network log", sqlite3_db_handle(statement_.get()));
  }
}

Result<> Statement::run() {
  auto stepped = step();
  reset();
  if (!stepped) return propagate(stepped);
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::uint64_t Statement::count(int column) const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(integer(column), 0));
}

std::string Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_.get(), column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::filesystem::path& path, Access access) {
  // A reader writes nothing of its own, but may have to put the write-ahead log in order after a
  // monitor that was killed.
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX;
  if (access == Access::kWrite) flags |= SQLITE_OPEN_CREATE;
  sqlite3* opened = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  Database database(opened);
  if (opened == nullptr) return fail("open", path.string(), "there is no memory for it");
  if (code != SQLITE_OK) {
    if (sqlite3_system_errno(opened) == ENOENT) return fail_system("open", path.string(), ENOENT);
    return fail_sqlite("open", path.string(), opened);
  }
  distrust(opened);
  if (access == Access::kRead)
    if (auto set = database.execute("PRAGMA query_only = ON"); !set) return propagate(set);
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK)
    return fail_sqlite("use", "the network log", connection_.get());
  return Statement(statement);
}

Result<> Database::execute(const std::string& sql) const {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return fail_sqlite("use", "the network log", connection_.get());
  return {};
}

bool Database::has_moved() const {
  int moved = 0;
  sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved != 0;
}

Result<std::optional<std::int64_t>> Database::integer(std::string_view sql) const {
  auto statement = prepare(sql);
  if (!statement) return propagate(statement);
  auto row = statement->step();
  if (!row) return propagate(row);
  if (!*row || statement->is_null(0)) return std::nullopt;
  return statement->integer(0);
}

}  // namespace capsem::audit
