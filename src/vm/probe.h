// Whether an accelerator really runs guests: a machine like any other is started on a kernel of a
// few instructions. Opening /dev/kvm proves little, where hypervisors are nested above all.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <optional>
#include <span>
#include <string>

#include "async/task.h"
#include "base/error.h"
#include "vm/machine.h"
#include "vm/qemu.h"

namespace capsem::vm {

// The kernel of probe_kernel.S, built into this library.
std::span<const std::byte> probe_kernel();

struct Probe {
  Accelerator accelerator = Accelerator::kKvm;
  std::chrono::milliseconds limit{600};
  std::span<const std::byte> kernel = probe_kernel();
  std::string program = kQemuProgram;
};

// What a probe saw.
struct ProbeResult {
  bool works = false;
  std::string reason;  // why not, in a few words; empty when it works
};

// Runs the probe. An error only when QEMU could not be started at all.
Task<Result<ProbeResult>> run_probe(boost::asio::any_io_executor executor, Probe probe);

}  // namespace capsem::vm
