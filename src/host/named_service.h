// Serves a VM with a name, which lives until it ends or is stopped. Who asks after its end finds
// that in the record; who is there already is told of it, but not before the record says so and
// another monitor may own it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string_view>

#include "api/types.h"
#include "async/task.h"
#include "async/task_group.h"
#include "base/error.h"
#include "host/clients.h"
#include "host/lease.h"
#include "host/monitor.h"
#include "host/named_vm.h"
#include "host/net_log.h"
#include "host/vm_log.h"

namespace capsem::host {

class NamedService {
 public:
  // Takes `vm` over, unless it fails. From here on nothing of the process that started this one is
  // in use: not its directory, nor its stderr, in whose place is a file of the VM.
  static Result<std::unique_ptr<NamedService>> create(const boost::asio::any_io_executor& executor,
                                                      std::unique_ptr<NamedVm>& vm);

  NamedService(const boost::asio::any_io_executor& executor, std::unique_ptr<NamedVm> vm);

  // For the VM's log.
  void console_line(std::string_view line);

  // For what the VM does on the network.
  audit::Sink& net_log() { return net_log_.sink(); }

  // Runs the VM to its end. Throws what a part of the monitor threw.
  Task<> run(Monitor& monitor, Clients& clients, Lease& lease);

 private:
  Task<> settle(const api::End& end);
  Task<> stop_on_signal(Monitor& monitor);

  VmLog log_;
  std::unique_ptr<NamedVm> vm_;
  NetLog net_log_;  // in the directory of vm_
  async::TaskGroup tasks_;
};

}  // namespace capsem::host
