// What begins the connections of the guest's proxy, so that no other process of the guest can pass
// for it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <string>
#include <string_view>

#include "async/latch.h"
#include "async/task.h"

namespace capsem::host::net {

class NetToken {
 public:
  explicit NetToken(const boost::asio::any_io_executor& executor) : known_(executor) {}

  // What the guest's PID 1 said of it. The first counts: whoever comes later may be another
  // process.
  void set(std::string token);

  // Whether this is it, once it is known.
  Task<bool> admits(std::string_view token);

 private:
  std::string token_;
  async::Latch known_;
};

}  // namespace capsem::host::net
