// The connections that share one quota and take turns as one: those of a port that is listened on,
// or those that the host makes. What a connection takes of the quota it gives back when its last
// owner lets it go, so that data which nobody has read counts although the guest has hung up.
#pragma once

#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "async/stream.h"
#include "vsock/connection.h"
#include "vsock/quota.h"

namespace capsem::vsock {

using Handler = std::move_only_function<void(std::unique_ptr<async::Stream>)>;

template <class T, Connection::Hook T::* hook>
using Queue = boost::intrusive::list<T, boost::intrusive::member_hook<T, Connection::Hook, hook>,
                                     boost::intrusive::constant_time_size<false>>;

class Service {
 public:
  // Every connection within a quota has at least this much of a receive buffer where the quota
  // allows for it; connections have more as long as enough is left for those still to come.
  static constexpr std::size_t kShareBytes = std::size_t{16} * 1024;
  static constexpr std::size_t kMinShareBytes = 4096;

  // Takes a connection's part of the quota: the size of its receive buffer, a power of two and
  // `most_bytes` at most. 0 when the quota is used up.
  std::uint32_t take(std::uint32_t most_bytes);
  void give_back(std::uint32_t receive_bytes);

  bool in_use() const { return handler != nullptr || used_.connections != 0; }

  Quota quota;
  Callers callers = Callers::kAnyone;
  std::shared_ptr<Handler> handler;                   // while the port is listened on
  std::chrono::steady_clock::time_point quiet_until;  // of refusals

  Connection::Hook data_hook;                          // in the multiplexer's list
  Queue<Connection, &Connection::data_hook> has_data;  // the connections to take turns

 private:
  Quota used_;
};

}  // namespace capsem::vsock
