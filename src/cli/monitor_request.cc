#include "cli/monitor_request.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

namespace capsem::cli {

Result<api::Vm> ask_vm(const client::Registry& registry, const std::string& name,
                       const VmRequest& request) {
  auto socket = registry.connect(name);
  if (!socket) return propagate(socket);
  boost::asio::io_context loop(1);
  auto connection = client::Connection::create(loop.get_executor(), std::move(*socket));
  if (!connection) return propagate(connection);
  std::optional<Result<api::Vm>> answer;
  boost::asio::co_spawn(loop, request(*connection),
                        [&](const std::exception_ptr& thrown, Result<api::Vm> value) {
                          if (thrown) std::rethrow_exception(thrown);
                          answer = std::move(value);
                        });
  loop.run();
  return std::move(*answer);
}

}  // namespace capsem::cli
