#include "host/services.h"

#include <utility>

namespace capsem::host {

Result<> listen_for(std::span<const Service> services, Machine& machine, async::TaskGroup& tasks) {
  for (const Service& service : services) {
    auto acceptor = [serve = service.serve, &tasks](std::unique_ptr<async::Stream> stream) {
      tasks.spawn(serve(std::move(stream)));
    };
    auto listening =
        machine.listen(service.port.number, service.quota, service.callers, std::move(acceptor));
    if (!listening) return listening;
  }
  return {};
}

}  // namespace capsem::host
