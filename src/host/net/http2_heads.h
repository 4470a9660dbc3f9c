// What a proxy does to the heads of HTTP/2 messages (RFC 9113, 8): they are put into the form that
// http_rules.h checks, which has the rules for both protocols. Knows no stream.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "host/net/http_head.h"
#include "host/net/http_rules.h"

namespace capsem::host::net {

// A header block as it came, the pseudo-header fields apart.
struct Http2Block {
  std::string method, scheme, authority, path;
  std::string protocol;  // RFC 8441
  std::string status;
  HttpFields fields;
  // Of the fields whose value must not get into a compression table (RFC 7541, 7.1.3).
  std::vector<std::string> never_indexed;
  std::size_t bytes = 0;  // RFC 9113, 6.5.2: SETTINGS_MAX_HEADER_LIST_SIZE
  std::size_t count = 0;
  Refusal refusal{.status = 0, .reason = {}};  // when its status is not 0

  // What goes over the limits is counted and not kept. False once it is many times as much, and not
  // worth reading to its end.
  bool add(std::string_view name, std::string_view value, bool is_never_indexed,
           const HeadLimits& limits);
  void malform(std::string reason);
};

struct Http2Fields {
  std::vector<HttpField> all;  // names in lower case
  std::vector<std::string> never_indexed;
};

struct Http2Request {
  PlainRequest plain;
  bool websocket =
      false;  // extended CONNECT; judged as GET, which a WebSocket of HTTP/1.1 begins with
  std::vector<std::string> never_indexed;

  // As it is sent to the server.
  Http2Fields fields() const;
};

std::expected<Http2Request, Refusal> check_request(Http2Block block, const RequestPlace& place,
                                                   const HeadLimits& limits);

std::expected<PlainAnswer, Refusal> check_answer(Http2Block block, const AnswerPlace& place);
Http2Fields fields_of(const PlainAnswer& answer);

// An answer of ours: one line of text.
Http2Fields text_answer(unsigned status, std::size_t size);

}  // namespace capsem::host::net
