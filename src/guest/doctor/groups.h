// The one list of the doctor's groups. A group is a table of checks in a file of its own, and a
// line here.
#pragma once

#include <vector>

#include "guest/doctor/check.h"

namespace capsem::guest::doctor {

// In the order of the report.
std::vector<Group> all_groups();

Items boot_items(const Guest& guest);
Items binary_items(const Guest& guest);
Items protection_items(const Guest& guest);
Items mount_items(const Guest& guest);
Items process_items(const Guest& guest);
Items terminal_items(const Guest& guest);
Items network_items(const Guest& guest);
Items vsock_items(const Guest& guest);
Items snapshot_items(const Guest& guest);
Items clock_items(const Guest& guest);
Items entropy_items(const Guest& guest);
Items limit_items(const Guest& guest);
Items kernel_items(const Guest& guest);

Items diagnostics_items(const Guest& guest);
void run_diagnostics(const Guest& guest, Report& report);

}  // namespace capsem::guest::doctor
