// What the probe's guest writes to isa-debug-exit when all went well. Included by assembly too.
#pragma once

#define PROBE_REPORT 0x2a
