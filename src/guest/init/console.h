// What PID 1 says on the console, which the host reads, and the ends of the machine.
#pragma once

#include <string_view>

#include "wire/messages.h"

namespace capsem::guest::init {

// "capsem-init: TEXT" in one line.
void log(std::string_view text);

// The line by which the host knows where the boot stands.
void log_step(std::string_view name);

// The line by which the host knows that the boot failed and why.
void log_failure(std::string_view text);

// On a fault of PID 1 itself: the failure's line and power off, in place of a kernel panic.
void handle_faults();

// In a process that was forked from PID 1: a fault is its own.
void forget_faults();

// Ends the machine at once; returns never.
[[noreturn]] void end_machine(wire::ShutdownAction action);

}  // namespace capsem::guest::init
