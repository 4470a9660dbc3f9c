#include "guest/init/confine.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>

#include "base/capabilities.h"

namespace capsem::guest::init {

int confine_service(manifest::CapabilitySet capabilities) {
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  // Not private: what PID 1 deploys later (entry_mount.h) is to be seen here too.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return errno;
  return limit_capabilities(capabilities);
}

}  // namespace capsem::guest::init
