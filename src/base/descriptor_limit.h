// How many descriptors this process may have open.
#pragma once

#include <sys/resource.h>

namespace capsem {

// As many as it may allow itself: for a process each of whose connections takes some.
inline void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace capsem
