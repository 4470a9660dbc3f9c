#include "client/vm_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace capsem::client {
namespace {

namespace fs = std::filesystem;

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Whether another's lock keeps this open file from one of the type.
Result<bool> is_kept_from(const Fd& file, short type, const fs::path& name) {
  auto lock = whole_file(type);
  if (::fcntl(file.get(), F_OFD_GETLK, &lock) != 0) return fail_system("look at", name, errno);
  return lock.l_type != F_UNLCK;
}

Result<std::optional<Fd>> try_take(const fs::path& file, short type) {
  auto fd = open_file(file, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (!fd) return propagate(fd, "lock", file);
  auto lock = whole_file(type);
  if (::fcntl(fd->get(), F_OFD_SETLK, &lock) == 0) return std::optional(std::move(*fd));
  if (errno == EAGAIN || errno == EACCES) return std::nullopt;
  return fail_system("lock", file, errno);
}

}  // namespace

Result<bool> is_locked(const Fd& file, const fs::path& name) {
  return is_kept_from(file, F_WRLCK, name);
}

Result<bool> is_running(const fs::path& file) {
  auto fd = open_file(file, O_RDONLY);
  if (!fd && fd.error().kind() == ErrorKind::kNotFound) return false;
  if (!fd) return propagate(fd);
  return is_kept_from(*fd, F_RDLCK, file);
}

Result<std::optional<Fd>> try_lock(const fs::path& file) {
  return try_take(file, F_WRLCK);
}

Result<std::optional<Fd>> try_share(const fs::path& file) {
  return try_take(file, F_RDLCK);
}

}  // namespace capsem::client
