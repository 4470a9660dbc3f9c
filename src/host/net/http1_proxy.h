// HTTP/1.1 between a client in the guest and the server it asks for: every request is judged, and
// what is passed on is written anew, so that the server reads what was judged.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/exchange_filter.h"
#include "host/net/http_head.h"
#include "host/net/http_rules.h"
#include "host/net/policy.h"

namespace capsem::host::net {

// A request that was allowed. Who passes it on keeps it until the request has ended.
struct RequestUnderWay {
  // Ends the request alone, when rules do not allow it any more; without it the connection ends.
  std::function<void()> withdraw;
};

struct Judgement {
  Decision decision;
  // Of a denial, for the person in the guest: one line that names the rule and how to allow it.
  std::string explanation = {};
  unsigned status = 403;                                 // of a denial
  std::shared_ptr<RequestUnderWay> under_way = nullptr;  // may be null
  std::unique_ptr<ExchangeFilter> filter = nullptr;      // of what is allowed; may be null
};

// The request lives until it has answered. It may wait, for a person's answer.
using Judge = std::function<Task<Judgement>(const PlainRequest& request)>;

// One request, as it is logged when it has ended. What the client said is not to be trusted.
struct RequestRecord {
  std::string method;
  std::string host;
  std::string path;        // with its query
  unsigned status = 0;     // that the client was answered with, 0 for none
  std::uint64_t sent = 0;  // bytes of bodies, and of what went over a WebSocket: by the guest
  std::uint64_t received = 0;
  std::chrono::system_clock::time_point begin;
  std::chrono::microseconds duration{0};
  Decision decision;
  std::string failure;  // why it was refused before it was judged, or did not end well
  std::optional<audit::ModelUsage> usage = std::nullopt;
  std::string protocol = "HTTP/1.1";
};

struct HttpLimits {
  HeadLimits head;
  std::chrono::milliseconds head_time = std::chrono::seconds(30);  // from its first byte
  std::chrono::milliseconds idle_time = std::chrono::minutes(10);  // between requests
  // At the end of a connection, for the client to read the last answer.
  std::chrono::milliseconds linger_time = std::chrono::seconds(2);
  // Of the body of a denied request, so that the connection can go on.
  std::uint64_t dropped_bytes = 64 << 10;
};

struct HttpProxyOptions {
  RequestPlace place;
  Judge judge;
  std::function<void(const RequestRecord&)> record;
  // Called once, for the first request that may go out.
  std::function<Task<Result<std::unique_ptr<async::Stream>>>(std::string host)> connect;
  HttpLimits limits;
};

// Serves `guest`, of whom `received` was read before, until it has ended. At most some 500 KiB a
// connection in flow are held, and 10 of one that waits.
Task<> proxy_http1(async::Stream& guest, std::span<const std::byte> received,
                   HttpProxyOptions options);

}  // namespace capsem::host::net
