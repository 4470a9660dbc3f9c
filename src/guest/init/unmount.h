// The end of the guest's file systems: what is on a disk is written back and given up.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace capsem::guest::init {

// Where the file systems are mounted that can be written and outlast the machine, the last first,
// by the text of /proc/self/mountinfo (proc_pid_mountinfo(5)). An overlay is among them, for the
// sake of what it is laid over.
std::vector<std::string> lasting_mounts(std::string_view mountinfo);

// Makes these read-only, which writes back what is to be kept, and unmounts those that are not in
// use. `report` is told of each that is neither.
void unmount_all(const std::function<void(const Error&)>& report);

}  // namespace capsem::guest::init
