// Writes records into a VM's audit.db, by whoever may wait for a disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "audit/database.h"
#include "audit/records.h"

namespace capsem::audit {

// Called with a line for the person whose VM it is.
using Warn = std::function<void(const std::string&)>;

class Writer {
 public:
  // In `directory`, whatever its path; nothing is opened yet. When more than `limit_bytes` are in
  // use the oldest rows go, an eighth at a time. A file of its own for the older ones would leave
  // nearly nothing to read right after a change, and its reader two files to look at.
  Writer(std::filesystem::path directory, std::uint64_t limit_bytes, Warn warn)
      : directory_(std::move(directory)), limit_bytes_(limit_bytes), warn_(std::move(warn)) {}

  // Opens the file unless it is open. One that is no audit.db of ours, or is damaged, is set aside
  // for a new one.
  Result<> open();

  // Writes all of the records or none; they are on the disk when this returns. A file that turns
  // out to be damaged is set aside, and the records go into the new one; one that was removed or
  // moved away is begun anew.
  Result<> write(std::span<const Record> records);

 private:
  struct Opened {
    Database database;
    Statement begin, commit, rollback, insert;
    std::int64_t sequence = 0;  // the last in use
  };

  Result<Opened> open_file(const std::filesystem::path& file);
  Result<> begin_run(const Database& database);
  Result<> prepare_file(const Database& database) const;
  Result<> set_aside(const std::filesystem::path& file, const Error& why);
  Result<> insert_all(std::span<const Record> records);
  Result<> keep_limit();

  std::filesystem::path directory_;
  std::uint64_t limit_bytes_;
  Warn warn_;
  std::optional<Opened> opened_;
  std::int64_t run_ = 0;  // this one; 0 until a file was opened
};

}  // namespace capsem::audit
