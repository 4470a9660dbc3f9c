// The monitor's end of the lease (api/lease.h).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <vector>

#include "api/types.h"
#include "async/task.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/message_socket.h"
#include "host/clients.h"

namespace capsem::host {

// The first message.
struct Started {
  api::Start start;
  std::vector<Fd> files;  // kernel, initrd, rootfs, policy
  std::vector<Fd> named;  // by api::NamedFd, of a VM with a name
  Fd disk;                // where the start has one
};

class Lease {
 public:
  Lease(const boost::asio::any_io_executor& executor, Fd socket);

  // What is to be run. kClosed at the lease's end, kInvalid for a message that is not as it should
  // be.
  Task<Result<Started>> start();

  // Takes clients until the lease ends or is cancelled.
  Task<> take_clients(Clients& clients);

  // Ends what waits for a message, now and later.
  void cancel();

 private:
  Task<Result<Message>> next();

  Fd socket_;
  boost::asio::posix::stream_descriptor readable_;
  bool cancelled_ = false;
};

}  // namespace capsem::host
