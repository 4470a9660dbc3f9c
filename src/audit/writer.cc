#include "audit/writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "audit/names.h"
#include "audit/schema.h"
#include "base/fd.h"

namespace capsem::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPageBytes = 4096;
// What a batch adds before the limit is looked at again, and SQLite's own, which no error in the
// counting can be over.
constexpr std::uint64_t kSpareBytes = 16 << 20;
// Of the write-ahead log, once it is written back.
constexpr std::uint64_t kMaxIdleLogBytes = 4 << 20;
constexpr int kPart = 8;

// A path without links, which is what SQLite asks for when it is to follow none: the directory is
// often given as a descriptor's, /proc/self/fd/N.
Result<fs::path> without_links(const fs::path& directory) {
  std::error_code error;
  auto path = fs::canonical(directory, error);
  if (error) return fail_system("find", directory.string(), error.value());
  return path;
}

// Makes the file where there is none, for its owner alone, and refuses what is no file.
Result<> make_file(const fs::path& file) {
  auto opened = capsem::open_file(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
  constexpr std::array kNoFiles = {ELOOP, EISDIR, ENXIO};
  struct stat status{};
  bool is_file = opened && ::fstat(opened->get(), &status) == 0 && S_ISREG(status.st_mode);
  if (is_file) return {};
  if (!opened && !std::ranges::count(kNoFiles, opened.error().system_error()))
    return propagate(opened);
  return fail("use", file.string(), "it is no file", "", ErrorKind::kDamaged);
}

std::unexpected<Error> fail_foreign(std::string reason) {
  return fail("use", "it as the network log", std::move(reason), "", ErrorKind::kDamaged);
}

// Whether another file might do better.
bool is_the_files_fault(const Error& error) {
  return error.kind() == ErrorKind::kDamaged;
}

}  // namespace

Result<> Writer::prepare_file(const Database& database) const {
  auto application = database.integer("PRAGMA application_id");
  if (!application) return propagate(application);
  auto version = database.integer("PRAGMA user_version");
  if (!version) return propagate(version);
  auto objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return propagate(objects);
  bool is_new = *objects == 0 && *application == 0;
  if (!is_new && *application != kApplication)
    return fail_foreign("it is a file of another program");
  if (!is_new && *version != kVersion)
    return fail_foreign("its version is " + std::to_string(version->value_or(0)) +
                        ", that of this capsem " + std::to_string(kVersion));
  // WAL: one commit is one write, and a reader keeps no writer waiting. FULL: it is synced too, so
  // that a host without power loses no more than a killed monitor.
  auto settings =
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = " +
      std::to_string(kMaxIdleLogBytes) +
      "; PRAGMA max_page_count = " + std::to_string((limit_bytes_ + kSpareBytes) / kPageBytes);
  if (auto set = database.execute(settings); !set) return set;
  if (!is_new) return {};
  return database.execute("BEGIN; " + creation() + "; COMMIT");
}

Result<Writer::Opened> Writer::open_file(const fs::path& file) {
  if (auto made = make_file(file); !made) return propagate(made);
  auto database = Database::open(file, Access::kWrite);
  if (!database) return propagate(database);
  if (auto prepared = prepare_file(*database); !prepared) return propagate(prepared);
  Opened opened{.database = std::move(*database)};
  std::string parameters;
  for (std::size_t i = 0; i < kColumns.size(); ++i) parameters += i == 0 ? "?" : ", ?";
  const std::array statements = {
      std::pair{&opened.begin, std::string("BEGIN IMMEDIATE")},
      std::pair{&opened.commit, std::string("COMMIT")},
      std::pair{&opened.rollback, std::string("ROLLBACK")},
      std::pair{&opened.insert, "INSERT OR REPLACE INTO records (" + column_list() + ") VALUES (" +
                                    parameters + ")"},
  };
  for (const auto& [statement, sql] : statements) {
    auto prepared = opened.database.prepare(sql);
    if (!prepared) return propagate(prepared);
    *statement = std::move(*prepared);
  }
  auto sequence = opened.database.integer("SELECT max(sequence) FROM records");
  if (!sequence) return propagate(sequence);
  opened.sequence = sequence->value_or(0);
  if (auto begun = begin_run(opened.database); !begun) return propagate(begun);
  return opened;
}

Result<> Writer::begin_run(const Database& database) {
  if (run_ != 0) return {};
  auto lost = database.execute("UPDATE records SET outcome = '" + std::string(name(Ending::kLost)) +
                               "' WHERE outcome = '" + std::string(name(Ending::kOpen)) + "'");
  if (!lost) return lost;
  auto run = database.integer("SELECT run FROM records ORDER BY sequence DESC LIMIT 1");
  if (!run) return propagate(run);
  run_ = run->value_or(0) + 1;
  return {};
}

Result<> Writer::set_aside(const fs::path& file, const Error& why) {
  opened_.reset();
  auto other = file.parent_path() / kSetAsideFile;
  // Its write-ahead log goes with it, so that what is whole can still be got out of it.
  for (const char* part : {"-wal", ""}) {
    auto from = file.string() + part;
    if (::rename(from.c_str(), (other.string() + part).c_str()) != 0 && errno != ENOENT)
      return fail_system("set aside", from, errno);
  }
  ::unlink((file.string() + "-shm").c_str());
  warn_("the network log was set aside as " + std::string(kSetAsideFile) +
        ", and a new one begun: " + why.message());
  return {};
}

Result<> Writer::open() {
  if (opened_) return {};
  auto directory = without_links(directory_);
  if (!directory) return propagate(directory);
  auto file = *directory / kFile;
  auto opened = open_file(file);
  if (!opened && is_the_files_fault(opened.error())) {
    if (auto done = set_aside(file, opened.error()); !done) return done;
    opened = open_file(file);
  }
  if (!opened) return propagate(opened, "open", "the network log");
  opened_ = std::move(*opened);
  return {};
}

Result<> Writer::insert_all(std::span<const Record> records) {
  auto sequence = opened_->sequence;
  if (auto begun = opened_->begin.run(); !begun) return begun;
  Result<> done;
  for (const auto& record : records) {
    done = write_row(opened_->insert, {.sequence = ++sequence, .run = run_}, record);
    if (!done) break;
  }
  if (done) done = opened_->commit.run();
  if (done) {
    opened_->sequence = sequence;
    return {};
  }
  // Where SQLite has done it by itself, this fails, and nothing is amiss.
  [[maybe_unused]] auto undone = opened_->rollback.run();
  return done;
}

Result<> Writer::keep_limit() {
  for (;;) {
    auto pages = opened_->database.integer("PRAGMA page_count");
    if (!pages) return propagate(pages);
    auto free = opened_->database.integer("PRAGMA freelist_count");
    if (!free) return propagate(free);
    auto used = static_cast<std::uint64_t>(pages->value_or(0) - free->value_or(0));
    if (used * kPageBytes <= limit_bytes_) return {};
    auto oldest = opened_->database.integer("SELECT min(sequence) FROM records");
    if (!oldest) return propagate(oldest);
    // The last one stays: by it the next run goes on counting.
    if (!*oldest || **oldest >= opened_->sequence) return {};
    auto last = **oldest + (opened_->sequence - **oldest) / kPart;
    auto removed =
        opened_->database.execute("DELETE FROM records WHERE sequence <= " + std::to_string(last));
    if (!removed) return removed;
  }
}

Result<> Writer::write(std::span<const Record> records) {
  if (opened_ && opened_->database.has_moved()) opened_.reset();
  // Twice, where the first file is set aside on the way.
  for (bool again : {true, false}) {
    if (auto ready = open(); !ready) return ready;
    auto done = insert_all(records);
    // What is over the limit can go with the next records as well.
    if (done)
      if (auto kept = keep_limit(); !kept && is_the_files_fault(kept.error())) done = kept;
    if (done) return {};
    if (!again || !is_the_files_fault(done.error())) return done;
    auto directory = without_links(directory_);
    if (!directory) return propagate(directory);
    if (auto aside = set_aside(*directory / kFile, done.error()); !aside) return aside;
  }
  return {};
}

}  // namespace capsem::audit
