// The monitor process: one VM, from the first message on its lease to the lease's end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "host/machine.h"
#include "host/qemu_machine.h"

namespace capsem::host {

// How the machine that the lease describes is made, as make_qemu_machine() does.
using MakeMachine = std::function<std::unique_ptr<Machine>(
    const boost::asio::any_io_executor& executor, QemuMachineOptions options)>;

// Waits for the lease's first message (api/lease.h), runs the VM it describes and serves the
// clients that are handed over, until the owner closes the lease; then the VM is ended. An error
// when the lease does not carry what it should. Throws what a part of the monitor threw, after the
// lease and every client's connection have been closed.
Result<> run_monitor(Fd lease, const MakeMachine& make_machine = make_qemu_machine);

}  // namespace capsem::host
