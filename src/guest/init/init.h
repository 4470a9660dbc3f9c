// PID 1 of the guest: boots it, keeps its services running, reaps, and ends the machine.
#pragma once

namespace capsem::guest::init {

// Never returns in a guest. Called by anything but the kernel, it says so and returns 1.
int run();

}  // namespace capsem::guest::init
