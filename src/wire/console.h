// What the guest's console carries for the host: where the boot stands, and why it failed. All that
// there is before the control connection.
#pragma once

namespace capsem::wire {

// Begins the line by which capsem-init names the boot step it begins.
inline constexpr char kStepPrefix[] = "capsem-init: step: ";

// Begins the line by which capsem-init says why it cannot go on; the host shows what follows.
inline constexpr char kFailurePrefix[] = "capsem-init: failed: ";

}  // namespace capsem::wire
