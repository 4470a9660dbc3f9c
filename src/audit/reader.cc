#include "audit/reader.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "audit/names.h"
#include "audit/schema.h"

namespace capsem::audit {
namespace {

namespace fs = std::filesystem;

Result<> check_file(const Database& database) {
  // Its writer makes the file first, and all that is in it at once.
  auto things = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!things) return propagate(things);
  if (*things == 0) return fail("read", "it", "it is empty", "", ErrorKind::kNotFound);
  auto application = database.integer("PRAGMA application_id");
  if (!application) return propagate(application);
  auto version = database.integer("PRAGMA user_version");
  if (!version) return propagate(version);
  if (*application != kApplication)
    return fail("read", "it", "it is no network log", "", ErrorKind::kDamaged);
  if (*version != kVersion)
    return fail("read", "it",
                "its version is " + std::to_string(version->value_or(0)) +
                    ", that of this capsem " + std::to_string(kVersion),
                "", ErrorKind::kDamaged);
  return {};
}

// " AND ..." for each condition; numbers of ours only, no text of anyone.
std::string conditions(const Filter& filter) {
  std::string text;
  if (filter.denied_only) text += " AND decision = '" + std::string(name(Decision::kDenied)) + "'";
  if (filter.requests_only) text += " AND kind = '" + std::string(kRequestKind) + "'";
  if (filter.since) {
    auto since = std::chrono::duration_cast<microseconds>(filter.since->time_since_epoch());
    text += " AND at_us >= " + std::to_string(since.count());
  }
  return text;
}

}  // namespace

Result<Reader> Reader::open(const fs::path& directory) {
  std::error_code error;
  auto canonical = fs::canonical(directory, error);
  if (error) return fail_system("find", directory.string(), error.value());
  auto file = canonical / kFile;
  auto database = Database::open(file, Access::kRead);
  if (!database) return propagate(database);
  if (auto checked = check_file(*database); !checked)
    return propagate(checked, "read", "the network log " + file.string());
  return Reader(std::move(*database));
}

Result<Page> Reader::after(std::int64_t sequence, const Filter& filter, std::size_t limit) {
  // So that who follows does not look again and again at rows that the filter leaves out.
  auto last = database_.integer("SELECT max(sequence) FROM records");
  if (!last) return propagate(last);
  auto statement = database_.prepare("SELECT " + column_list() +
                                     " FROM records WHERE sequence > ? AND sequence <= ?" +
                                     conditions(filter) + " ORDER BY sequence LIMIT ?");
  if (!statement) return propagate(statement);
  statement->bind(1, sequence);
  statement->bind(2, last->value_or(0));
  statement->bind(3, static_cast<std::int64_t>(limit));
  Page page;
  for (;;) {
    auto row = statement->step();
    if (!row) return propagate(row);
    if (!*row) break;
    auto record = read_row(*statement);
    if (!record) return propagate(record);
    page.entries.push_back({.sequence = statement->integer(static_cast<int>(Place::kSequence)),
                            .run = statement->integer(static_cast<int>(Place::kRun)),
                            .record = std::move(*record)});
  }
  page.is_last = page.entries.size() < limit;
  page.sequence =
      page.is_last ? std::max(sequence, last->value_or(0)) : page.entries.back().sequence;
  return page;
}

Result<std::vector<UsageSum>> Reader::usage(const Filter& filter) {
  // total() and not sum(): it is no error when it grows over 63 bits.
  auto statement = database_.prepare(
      "SELECT host, provider, model, count(*), total(input_tokens), total(cached_input_tokens),"
      " total(output_tokens) FROM records WHERE provider IS NOT NULL" +
      conditions(filter) + " GROUP BY host, provider, model ORDER BY 7 DESC, 1, 2, 3");
  if (!statement) return propagate(statement);
  std::vector<UsageSum> sums;
  for (;;) {
    auto row = statement->step();
    if (!row) return propagate(row);
    if (!*row) return sums;
    sums.push_back({.host = statement->text(0),
                    .provider = statement->text(1),
                    .model = statement->text(2),
                    .requests = statement->count(3),
                    .input_tokens = statement->count(4),
                    .cached_input_tokens = statement->count(5),
                    .output_tokens = statement->count(6)});
  }
}

}  // namespace capsem::audit
