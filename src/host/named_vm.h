// A VM with a name, as its monitor holds it: the lock that says it runs, the socket at which anyone
// of its user may connect, and the record of how it went (api/vm_record.h).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <string>
#include <vector>

#include "api/lease.h"
#include "api/types.h"
#include "api/vm_record.h"
#include "async/offload.h"
#include "async/task.h"
#include "base/error.h"
#include "base/fd.h"
#include "host/clients.h"

namespace capsem::host {

class NamedVm {
 public:
  // Over the descriptors of api::NamedFd, in their order, which are not blocking.
  NamedVm(const boost::asio::any_io_executor& executor, std::vector<Fd> files);
  NamedVm(const NamedVm&) = delete;
  NamedVm& operator=(const NamedVm&) = delete;
  // Takes the socket away; then the lock goes.
  ~NamedVm();

  // Its directory of state, under a path that holds whatever name it is given.
  std::string directory() const;

  // Writes down that it runs. An error leaves a record that says otherwise.
  Task<Result<>> record_start();
  // Writes down how it ended.
  Task<Result<>> record_end(const api::End& end);

  // Takes clients until it is cancelled. Returns when the socket fails.
  Task<> accept(Clients& clients);

 private:
  Task<Result<>> record(api::RecordedState state, std::string reason);
  const Fd& file(api::NamedFd which) const { return files_.at(static_cast<std::size_t>(which)); }

  std::vector<Fd> files_;
  boost::asio::posix::stream_descriptor acceptable_;
  async::Offload disk_;
};

}  // namespace capsem::host
