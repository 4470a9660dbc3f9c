// The file systems of the guest. PID 1, the services and the helpers that the kernel starts by
// itself live on the read-only rootfs; sessions live on an overlay of it, whose files none of those
// execute.
#pragma once

#include <string>

#include "base/error.h"

namespace capsem::guest::init {

// Before the root is switched: the squashfs.
inline constexpr const char* kRootfs = "/rootfs";

// Where the overlay's upper layer lies: what sessions write.
inline constexpr const char* kOverlayStore = "/run/capsem/overlay";

// /proc, /sys, /dev, /run and what belongs below them.
Result<> mount_early();

// The squashfs on the virtio disk at kRootfs, read-only.
Result<> mount_rootfs();

// A tmpfs at kOverlayStore.
Result<> mount_memory_store();

// An overlay of kOverlayStore over the root, which is the rootfs, at kSessionRoot (guest/paths.h).
Result<> mount_overlay();

// Makes kRootfs the root of this process, with the early mounts moved there; frees the initramfs.
Result<> switch_root();

// What sessions find below kSessionRoot in whatever namespace they are, beside the deployed entries
// (entry_mount.h): /tmp and /run.
Result<> complete_session_root();

// The driver makes a device's node while its module is loaded; a slow host may still be at it.
Result<> wait_for_device(const std::string& device);

// mount(2), with an error that names what was mounted where.
Result<> mount_file_system(const std::string& source, const std::string& target,
                           const std::string& type, unsigned long flags,
                           const std::string& options);

}  // namespace capsem::guest::init
