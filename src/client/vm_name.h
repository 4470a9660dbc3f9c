// Names for VMs that were given none.
#pragma once

#include <string>

namespace capsem::client {

// Two words and a '-', such as "quiet-otter", by chance. Another VM may have it.
std::string invented_vm_name();

}  // namespace capsem::client
