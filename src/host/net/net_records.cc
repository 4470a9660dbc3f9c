#include "host/net/net_records.h"

#include <chrono>
#include <utility>

namespace capsem::host::net {
namespace {

audit::Process process_of(const Process& process) {
  return {.pid = process.pid, .uid = process.uid, .executable = process.executable};
}

audit::Decision decision_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return audit::Decision::kPassed;
    case Verdict::kInspect:
      return audit::Decision::kInspected;
    case Verdict::kDeny:
      break;
  }
  return audit::Decision::kDenied;
}

struct ResultRow {
  NameResult result;
  audit::NameResult recorded;
};
constexpr ResultRow kResults[] = {
    {NameResult::kAnswered, audit::NameResult::kAnswered},
    {NameResult::kDenied, audit::NameResult::kRefused},
    {NameResult::kNoName, audit::NameResult::kNotFound},
    {NameResult::kNoAddress, audit::NameResult::kNotFound},
    {NameResult::kAddressesDenied, audit::NameResult::kRefused},
    {NameResult::kLimited, audit::NameResult::kLimited},
    {NameResult::kFailed, audit::NameResult::kFailed},
    {NameResult::kMalformed, audit::NameResult::kFailed},
};

std::string type_name(RecordType type) {
  switch (type) {
    case RecordType::kA:
      return "A";
    case RecordType::kAaaa:
      return "AAAA";
    case RecordType::kHttps:
      return "HTTPS";
    default:
      return "TYPE" + std::to_string(static_cast<unsigned>(type));
  }
}

}  // namespace

audit::NameAsked record_of(const NameAsked& asked) {
  audit::NameAsked record{.at = std::chrono::system_clock::now(),
                          .name = asked.name,
                          .type = type_name(asked.type),
                          .result = audit::NameResult::kFailed,
                          .judgement = {.decision = audit::Decision::kPassed, .rule = asked.rule},
                          .process = {}};
  for (const auto& row : kResults)
    if (row.result == asked.result) record.result = row.recorded;
  if (record.result == audit::NameResult::kRefused)
    record.judgement.decision = audit::Decision::kDenied;
  return record;
}

audit::Connection record_of(std::uint64_t id, const Flow& flow, const FlowJudgement& judgement) {
  return {.id = id,
          .begin = std::chrono::system_clock::now(),
          .duration = {},
          .address = flow.address.to_string(),
          .port = flow.port,
          .server_name = judgement.host,
          .process = process_of(flow.process),
          .judgement = {.decision = decision_of(judgement.verdict), .rule = judgement.rule},
          .ending = audit::Ending::kOpen,
          .reason = judgement.reason};
}

audit::Request record_of(std::uint64_t connection, const Flow& flow, bool secure,
                         const RequestRecord& request) {
  bool passed = request.decision.verdict != Verdict::kDeny;
  return {.connection = connection,
          .begin = request.begin,
          .duration = request.duration,
          .process = process_of(flow.process),
          .scheme = secure ? "https" : "http",
          .protocol = request.protocol,
          .host = request.host,
          .port = flow.port,
          .method = request.method,
          .path = request.path,
          .status = request.status,
          .judgement = {.decision = passed ? audit::Decision::kInspected : audit::Decision::kDenied,
                        .rule = request.decision.rule},
          .sent_bytes = request.sent,
          .received_bytes = request.received,
          .reason = request.failure,
          .usage = request.usage};
}

}  // namespace capsem::host::net
