// One request to the monitor of a VM with a name, on an event loop of its own.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "api/types.h"
#include "async/task.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/registry.h"

namespace capsem::cli {

// Connects, runs `request` to its end and returns its value. kNotFound and kClosed as
// client::Registry::connect() has them.
template <class Request>
auto run_request(const client::Registry& registry, const std::string& name, Request request) {
  using Answer = typename std::invoke_result_t<Request, client::Connection&>::value_type;
  auto socket = registry.connect(name);
  if (!socket) return Answer(propagate(socket));
  boost::asio::io_context loop(1);
  auto connection = client::Connection::create(loop.get_executor(), std::move(*socket));
  if (!connection) return Answer(propagate(connection));
  std::optional<Answer> answer;
  boost::asio::co_spawn(loop, request(*connection),
                        [&](const std::exception_ptr& thrown, Answer value) {
                          if (thrown) std::rethrow_exception(thrown);
                          answer = std::move(value);
                        });
  loop.run();
  return std::move(*answer);
}

using VmRequest = std::function<Task<Result<api::Vm>>(client::Connection&)>;

// The same for a VM. A monitor that goes away meanwhile is kClosed, one that has not answered
// within `limit` kTimeout.
Result<api::Vm> ask_vm(const client::Registry& registry, const std::string& name,
                       const VmRequest& request, std::chrono::milliseconds limit);

}  // namespace capsem::cli
