#include "base/stream.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace capsem {
namespace {

constexpr std::size_t kFileBufferBytes = 256 << 10;

}  // namespace

Result<std::uint64_t> Input::skip(std::uint64_t count) {
  std::uint64_t skipped = 0;
  while (skipped < count) {
    auto ready = peek(0);
    if (!ready) return propagate(ready);
    if (ready->empty()) {
      auto sought = seek(count - skipped);
      if (!sought) return sought;
      position_ += *sought;
      skipped += *sought;
      if (skipped == count) break;
      ready = peek(1);
      if (!ready) return propagate(ready);
      if (ready->empty()) break;
    }
    auto step = std::min<std::uint64_t>(ready->size(), count - skipped);
    take(static_cast<std::size_t>(step));
    skipped += step;
  }
  return skipped;
}

BufferedInput::BufferedInput(std::size_t buffer_bytes)
    : buffer_(std::make_unique_for_overwrite<std::byte[]>(buffer_bytes)), capacity_(buffer_bytes) {}

Result<std::span<const std::byte>> BufferedInput::peek(std::size_t wanted) {
  while (end_ - begin_ < wanted) {
    if (begin_ != 0) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    auto produced = produce(std::span(buffer_.get() + end_, capacity_ - end_));
    if (!produced) return propagate(produced);
    if (*produced == 0) break;
    end_ += *produced;
  }
  return std::span<const std::byte>(buffer_.get() + begin_, end_ - begin_);
}

FileInput::FileInput(const Fd& fd, std::string name, OnRead on_read)
    : BufferedInput(kFileBufferBytes),
      fd_(fd),
      name_(std::move(name)),
      on_read_(std::move(on_read)) {
  struct stat status{};
  seekable_ = ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode);
  if (seekable_) size_ = static_cast<std::uint64_t>(status.st_size);
}

Result<std::size_t> FileInput::produce(std::span<std::byte> room) {
  for (;;) {
    ssize_t n = ::read(fd_.get(), room.data(), room.size());
    if (n >= 0 && on_read_) on_read_(position() + static_cast<std::uint64_t>(n), size_);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return fail_system("read", name_, errno);
  }
}

Result<std::uint64_t> FileInput::seek(std::uint64_t count) {
  if (!seekable_ || count < kFileBufferBytes) return 0;
  struct stat status{};
  off_t here = ::lseek(fd_.get(), 0, SEEK_CUR);
  if (here < 0 || ::fstat(fd_.get(), &status) != 0) return fail_system("read", name_, errno);
  auto left = status.st_size > here ? static_cast<std::uint64_t>(status.st_size - here) : 0;
  auto step = std::min(count, left);
  if (::lseek(fd_.get(), static_cast<off_t>(step), SEEK_CUR) < 0)
    return fail_system("read", name_, errno);
  return step;
}

Sink append_to(std::vector<std::byte>& bytes) {
  return [&bytes](std::span<const std::byte> more) -> Result<> {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return {};
  };
}

Sink write_to(const Fd& fd, std::string name) {
  return [&fd, name = std::move(name)](std::span<const std::byte> bytes) -> Result<> {
    return write_full(fd, bytes, name);
  };
}

Result<> read_range(const Fd& fd, std::uint64_t offset, std::uint64_t bytes, const Sink& sink,
                    const std::string& name) {
  auto size = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kFileBufferBytes));
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  while (bytes > 0) {
    auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, size));
    ssize_t n = ::pread(fd.get(), buffer.get(), wanted, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_system("read", name, errno);
    if (n == 0)
      return fail("read", name, "it became shorter while it was read", "run it again",
                  ErrorKind::kDamaged);
    if (auto sunk = sink(std::span(buffer.get(), static_cast<std::size_t>(n))); !sunk) return sunk;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace capsem
