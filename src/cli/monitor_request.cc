#include "cli/monitor_request.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "async/limit.h"

namespace capsem::cli {

Result<api::Vm> ask_vm(const client::Registry& registry, const std::string& name,
                       const VmRequest& request, std::chrono::milliseconds limit) {
  auto socket = registry.connect(name);
  if (!socket) return propagate(socket);
  boost::asio::io_context loop(1);
  auto connection = client::Connection::create(loop.get_executor(), std::move(*socket));
  if (!connection) return propagate(connection);
  std::optional<std::optional<Result<api::Vm>>> answer;
  boost::asio::co_spawn(
      loop, async::with_limit(limit, request(*connection)),
      [&](const std::exception_ptr& thrown, std::optional<Result<api::Vm>> value) {
        if (thrown) std::rethrow_exception(thrown);
        answer = std::move(value);
      });
  loop.run();
  if (*answer) return std::move(**answer);
  return fail("ask", "the monitor of VM '" + name + "'",
              "it did not answer within " +
                  std::to_string(std::chrono::ceil<std::chrono::seconds>(limit).count()) + " s",
              "'capsem kill " + name + "' ends it", ErrorKind::kTimeout);
}

}  // namespace capsem::cli
