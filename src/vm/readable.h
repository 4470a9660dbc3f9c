// Files that QEMU opens itself, by the number of a descriptor it inherits.
#pragma once

#include "base/error.h"
#include "base/fd.h"

namespace capsem::vm {

// Opening a file again asks for permission again (proc_pid_fd(5)), and a QEMU started by root has
// root's name without root's capabilities. Gives a copy in memory of a `file` that such a QEMU may
// not read, which is one that another user keeps to himself; an invalid Fd where `file` will do.
// `name` is for errors.
Result<Fd> copy_unless_readable(const Fd& file, const std::string& name);

}  // namespace capsem::vm
