#include "base/fd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace capsem {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<> Fd::close(const std::string& name) {
  // EINTR: Linux has released the descriptor all the same, closing again could hit another's.
  if (::close(release()) != 0 && errno != EINTR) return fail_system("close", name, errno);
  return {};
}

Result<Fd> open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return fail_system("open", path, errno);
  return Fd(fd);
}

Result<std::size_t> read_full(const Fd& fd, std::span<std::byte> buffer, const std::string& name) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    ssize_t n = ::read(fd.get(), buffer.data() + done, buffer.size() - done);
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_system("read", name, errno);
    }
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<> write_full(const Fd& fd, std::span<const std::byte> data, const std::string& name) {
  while (!data.empty()) {
    ssize_t n = ::write(fd.get(), data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_system("write", name, errno);
    }
    data = data.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<Fd> duplicate(const Fd& fd) {
  int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_system("duplicate", "a file descriptor", errno);
  return Fd(copy);
}

Result<std::pair<Fd, Fd>> socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    return fail_system("make", "a pair of sockets", errno);
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

Result<std::pair<Fd, Fd>> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_system("make", "a pipe", errno);
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

Result<> set_nonblocking(const Fd& fd, bool on) {
  int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0)
    return fail_system("set the blocking mode of", "a file descriptor", errno);
  return {};
}

}  // namespace capsem
