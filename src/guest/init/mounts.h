// The file systems of the guest: what the kernel needs to be seen, the read-only rootfs, and the
// overlay that sessions write to.
#pragma once

#include <string>

#include "base/error.h"

namespace capsem::guest::init {

inline constexpr const char* kRootfs = "/rootfs";    // the squashfs, before the root is switched
inline constexpr const char* kNewRoot = "/newroot";  // the overlay

// /proc, /sys, /dev, /run, /tmp and what belongs below them.
Result<> mount_early();

// The squashfs on the virtio disk at kRootfs, read-only.
Result<> mount_rootfs();

// An overlay of a tmpfs over kRootfs at kNewRoot.
Result<> mount_overlay();

// Makes kNewRoot the root of this process, with the early mounts moved there; frees the initramfs.
Result<> switch_root();

// mount(2), with an error that names what was mounted where.
Result<> mount_file_system(const std::string& source, const std::string& target,
                           const std::string& type, unsigned long flags,
                           const std::string& options);

}  // namespace capsem::guest::init
