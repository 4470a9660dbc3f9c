// The network log of a VM with a name (audit/store.h) as the event loop has it: its warnings come
// there, and its end is waited for without blocking it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "async/offload.h"
#include "async/task.h"
#include "audit/store.h"

namespace capsem::host {

class NetLog {
 public:
  // In `directory`, the VM's state. `on_warning` is called on the loop, and not once this has gone.
  NetLog(boost::asio::any_io_executor executor, std::string directory,
         std::function<void(const std::string&)> on_warning);
  NetLog(const NetLog&) = delete;
  NetLog& operator=(const NetLog&) = delete;
  ~NetLog() = default;

  // Where the parts of the network hand over what they did, until finish().
  audit::Sink& sink() { return store_; }

  // Writes all that was handed over. Its warnings have come when this returns.
  Task<> finish();

 private:
  // Only the loop takes the last reference away, so that who holds one there may call it.
  std::shared_ptr<std::function<void(const std::string&)>> on_warning_;
  audit::Store store_;
  async::Offload disk_;
};

}  // namespace capsem::host
