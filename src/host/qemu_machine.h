// The real machine: QEMU as a child process and our vsock device.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "host/machine.h"
#include "vm/accelerator.h"
#include "vm/machine.h"

namespace capsem::host {

struct QemuMachineOptions {
  vm::Machine machine;  // its accelerator is chosen by the query
  vm::AcceleratorQuery accelerator;
  // The machine's disk, if it has one; given up once QEMU has it, with the locks that QEMU takes on
  // it (it shares the open file).
  Fd disk;
};

// A machine that is not started. The descriptors that `options` refer to must outlive its start.
std::unique_ptr<Machine> make_qemu_machine(const boost::asio::any_io_executor& executor,
                                           QemuMachineOptions options);

}  // namespace capsem::host
