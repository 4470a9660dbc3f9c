#include "cli/monitor_request.h"

#include "async/limit.h"

namespace capsem::cli {

Result<api::Vm> ask_vm(const client::Registry& registry, const std::string& name,
                       const VmRequest& request, std::chrono::milliseconds limit) {
  auto ask_in_time = [&](client::Connection& connection) -> Task<Result<api::Vm>> {
    auto answer = co_await async::with_limit(limit, request(connection));
    if (answer) co_return std::move(*answer);
    co_return fail("ask", "the monitor of VM '" + name + "'",
                   "it did not answer within " +
                       std::to_string(std::chrono::ceil<std::chrono::seconds>(limit).count()) +
                       " s",
                   "'capsem kill " + name + "' ends it", ErrorKind::kTimeout);
  };
  return run_request(registry, name, ask_in_time);
}

}  // namespace capsem::cli
