#include "vm/readable.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/copy.h"

namespace capsem::vm {

Result<Fd> copy_unless_readable(const Fd& file, const std::string& name) {
  if (::geteuid() != 0) return Fd();
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_system("look at", name, errno);
  mode_t needed = status.st_uid == 0 ? S_IRUSR : status.st_gid == 0 ? S_IRGRP : S_IROTH;
  if ((status.st_mode & needed) != 0) return Fd();
  Fd copy(::memfd_create("capsem-copy", MFD_CLOEXEC));
  if (!copy) return fail_system("make", "a file in memory", errno);
  auto copied = copy_range(file, 0, copy, static_cast<std::uint64_t>(status.st_size), name);
  if (!copied) return propagate(copied);
  return copy;
}

}  // namespace capsem::vm
