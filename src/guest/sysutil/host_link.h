// One request to the host's lifecycle service, over vsock.
#pragma once

#include <chrono>

#include "base/error.h"
#include "base/fd.h"
#include "wire/messages.h"

namespace capsem::guest::sysutil {

// A connection to the host from a port of root's. kPermission for a process that may have none.
Result<Fd> connect_to_host();

// Sends the request and waits for the answer, each for 5 s at most.
Result<wire::LifecycleAnswer> ask(const Fd& host, const wire::LifecycleRequest& request);

// Waits until the host has hung up, which it does when the VM is gone: for `limit` at most.
void wait_for_end(const Fd& host, std::chrono::milliseconds limit);

}  // namespace capsem::guest::sysutil
