// An owned file descriptor, and the handful of calls everything else is built on.
// All of them open with close-on-exec and restart after a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"

namespace capsem {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() { *this = Fd(); }

  // Closes it and reports what close(2) says; the destructor closes without a word. For files
  // that were written, where the error may be the only sign of lost data.
  Result<> close(const std::string& name);

 private:
  int fd_ = -1;
};

// open(2) of `path` with O_CLOEXEC added; `attempted` completes "cannot ..." in the error.
Result<Fd> open_file(const std::filesystem::path& path, int flags, unsigned mode = 0);

// Reads until `buffer` is full or the file ends; returns how many bytes were read.
Result<std::size_t> read_full(const Fd& fd, std::span<std::byte> buffer, const std::string& name);

// Writes all of `data`.
Result<> write_full(const Fd& fd, std::span<const std::byte> data, const std::string& name);

// Duplicates with close-on-exec set.
Result<Fd> duplicate(const Fd& fd);

// A connected pair of Unix stream sockets, both close-on-exec.
Result<std::pair<Fd, Fd>> socket_pair();

// A pipe, both ends close-on-exec: first the end to read, then the end to write.
Result<std::pair<Fd, Fd>> make_pipe();

Result<> set_nonblocking(const Fd& fd, bool on);

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace capsem
