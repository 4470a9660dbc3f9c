// Where what sessions write is kept: a disk that stays, where the host gives the VM one, and memory
// otherwise.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/process.h"

namespace capsem::guest::init {

// What e2fsck(8) did, its output one string.
struct DiskCheck {
  ExitStatus status;
  std::string output;
};

// Whether the ext4 file system on `device` is `uuid`, and in order; one that is not is put in order
// by `check` first. Nothing is made anew: what is not as it should be is an error that says what to
// do.
Result<> make_ready(const std::string& device, const std::string& uuid,
                    const std::function<Result<DiskCheck>(const std::string& device)>& check);

// The boot step: mounts kOverlayStore (mounts.h), the disk where there is to be one and never
// memory in its place. Once the rootfs is the root, which has the program that checks.
Result<> mount_store();

}  // namespace capsem::guest::init
