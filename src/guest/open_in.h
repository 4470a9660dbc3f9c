// Files below a root that sessions write to, opened by a process outside of it.
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace capsem::guest {

// What a process whose "/" is `root` finds at the absolute `path`, for this one to open with
// `flags` of open(2): no link there leads anywhere else. Not open when that fails, with errno set.
inline Fd open_in(const Fd& root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
}

}  // namespace capsem::guest
