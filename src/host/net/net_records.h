// What the network does, as the audit has it.
#pragma once

#include <string>

#include "audit/records.h"
#include "host/net/dns_service.h"
#include "host/net/flow.h"
#include "host/net/flow_judge.h"
#include "host/net/http1_proxy.h"

namespace capsem::host::net {

audit::NameAsked record_of(const NameAsked& asked);

// At its begin; what is known at its end is for the caller to add.
audit::Connection record_of(std::uint64_t id, const Flow& flow, const FlowJudgement& judgement);

audit::Request record_of(std::uint64_t connection, const Flow& flow, bool secure,
                         const RequestRecord& request);

}  // namespace capsem::host::net
