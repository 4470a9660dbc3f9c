// Whole files: reading with a limit, and writing so that a reader sees the old or the new one.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

// The content of a regular file. A file larger than `limit_bytes` is refused (kInvalid).
Result<std::string> read_file(const std::filesystem::path& path, std::uint64_t limit_bytes);

// mkdir -p, with `mode` for what is made.
Result<> make_directories(const std::filesystem::path& path, unsigned mode = 0755);

enum class Sync { kNothing, kContent, kContentAndName };

// A file that appears at its path whole or not at all. The content goes to an unnamed file of the
// same directory (O_TMPFILE; a named one beside it where the file system has none), commit() syncs
// it and renames it over the target. Without commit() nothing remains; what a killed process left
// is taken away by the next writer of that target. Any number of writers, threads or processes, may
// replace one target at a time: each succeeds, and the last one's file stays.
class AtomicFile {
 public:
  static Result<AtomicFile> create(std::filesystem::path target, unsigned mode = 0644);
  // The same with a named file, whatever the file system has.
  static Result<AtomicFile> create_named(std::filesystem::path target, unsigned mode = 0644);
  AtomicFile(AtomicFile&& other) noexcept = default;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  const Fd& fd() const { return fd_; }
  Result<> write(std::span<const std::byte> data);

  // Puts the file in place, synced as far as `sync` says: with kContent, after a power failure
  // either file is there, whole; with kNothing that is not certain. The descriptor stays open and
  // refers to the committed file.
  Result<> commit(Sync sync = Sync::kContentAndName);

  // The committed file's descriptor, for callers that go on with exactly this file.
  Fd take_fd() { return std::move(fd_); }

 private:
  AtomicFile(std::filesystem::path target, std::filesystem::path temporary, Fd fd);
  Result<> give_name();

  std::filesystem::path target_;
  std::filesystem::path temporary_;  // the name in use, empty while the file has none
  Fd fd_;
};

// A file to read and write that has no name, in `directory`, or where temporary files go (TMPDIR,
// /tmp) when that is empty.
Result<Fd> unnamed_file(std::filesystem::path directory = {});

Result<> write_file_atomically(const std::filesystem::path& path, std::string_view content,
                               unsigned mode = 0644);

// What was made, renamed or removed in the directory stays so after a power failure.
Result<> sync_directory(const std::filesystem::path& path);

// An advisory lock (flock(2)) on `path`, made when missing; held until the Fd is closed, and
// released by the kernel when the process ends. Waits for others, with a limit no longer than that:
// kTimeout then, with the process that has it where it can be seen.
enum class LockMode { kShared, kExclusive };
Result<Fd> lock_file(const std::filesystem::path& path, LockMode mode,
                     std::optional<std::chrono::milliseconds> limit = std::nullopt);

}  // namespace capsem
