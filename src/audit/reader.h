// Reads a VM's audit.db, while the VM runs and after. The rows are looked at in short steps, so
// that the writer is never kept from writing back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "audit/database.h"
#include "audit/records.h"

namespace capsem::audit {

struct Filter {
  bool denied_only = false;
  bool requests_only = false;
  std::optional<TimePoint> since;  // what began then or later
};

struct Entry {
  std::int64_t sequence = 0;  // a connection's end has another than its begin, which it replaces
  std::int64_t run = 0;       // of the VM, counted from 1
  Record record;
};

struct Page {
  std::vector<Entry> entries;
  std::int64_t sequence = 0;  // the next page is behind it
  bool is_last = false;       // for now
};

// What the requests of one model and host add up to.
struct UsageSum {
  std::string host;
  std::string provider;
  std::string model;
  std::uint64_t requests = 0;
  std::uint64_t input_tokens = 0;
  std::uint64_t cached_input_tokens = 0;
  std::uint64_t output_tokens = 0;
  bool operator==(const UsageSum&) const = default;
};

class Reader {
 public:
  // kNotFound when there is none. kDamaged for a file that is no audit.db of this version.
  static Result<Reader> open(const std::filesystem::path& directory);

  // At most `limit` of those that the filter lets through, oldest first, behind `sequence`.
  Result<Page> after(std::int64_t sequence, const Filter& filter, std::size_t limit);

  // Those with most output first.
  Result<std::vector<UsageSum>> usage(const Filter& filter);

  // Whether the file was replaced by another, so that nothing more comes.
  bool is_replaced() const { return database_.has_moved(); }

 private:
  explicit Reader(Database database) : database_(std::move(database)) {}

  Database database_;
};

}  // namespace capsem::audit
