// The checks themselves, one function a row of the table in host_check.cc.
#pragma once

#include <optional>
#include <string_view>

#include "cli/doctor/host_check.h"
#include "vm/qmp.h"

namespace capsem::cli {

// host_machine_checks.cc: what runs VMs.
Observation check_installation(const Host& host);
Observation check_qemu(const Host& host);
Observation check_accelerator(const Host& host);

// host_guest_checks.cc: what goes into a VM. These need a layout, and all but check_guest_toml()
// and check_assets() a manifest.
Observation check_guest_toml(const Host& host);
Observation check_guest_programs(const Host& host);
Observation check_assets(const Host& host);
Observation check_rootfs_inputs(const Host& host);
Observation check_build_tools(const Host& host);
Observation check_initrd(const Host& host);

// host_directory_checks.cc: where capsem writes, with what room, and what is left there.
Observation check_cache_directory(const Host& host);
Observation check_assets_directory(const Host& host);
Observation check_temporary_directory(const Host& host);
Observation check_segment_cache(const Host& host);
Observation check_leftovers(const Host& host);

// The version in what `qemu-system-x86_64 --version` prints.
std::optional<vm::QemuVersion> qemu_version(std::string_view printed);

}  // namespace capsem::cli
