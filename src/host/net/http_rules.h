// What a proxy does to the heads of HTTP/1.1 messages: which it refuses, and which fields it takes
// away or puts in (RFC 9110 and 9112). Knows no stream.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "host/net/http_head.h"
#include "host/net/http_target.h"

namespace capsem::host::net {

// How the end of a body is found.
enum class Framing { kNone, kLength, kChunked, kToEnd };

// The connection that a request comes over.
struct RequestPlace {
  bool secure = false;      // under TLS
  std::string host;         // that TLS said, or that upstream is connected to; empty when none is
  std::uint16_t port = 80;  // that the guest connected to
};

// A request that may be passed on, if the policy says so.
struct PlainRequest {
  RequestHead head;
  Authority authority;
  Target target;
  Framing framing = Framing::kNone;
  std::uint64_t length = 0;  // of kLength
  bool upgrade = false;      // to a WebSocket
  bool keep_alive = true;

  // As it is sent to the server.
  std::string text() const;
};

// Refuses what servers read differently, or what is not for the host of this connection.
std::expected<PlainRequest, Refusal> check_request(RequestHead head, const RequestPlace& place);

// What an answer is to.
struct AnswerPlace {
  bool head = false;  // the method is HEAD
  bool upgrade = false;
  unsigned version = 11;  // of the request
};

struct PlainAnswer {
  AnswerHead head;
  Framing framing = Framing::kNone;
  std::uint64_t length = 0;
  bool upgrade = false;    // the connection is a WebSocket from here on
  bool keep_alive = true;  // the server's connection can be used again

  // As it is sent to the client, whose connection `closes` after it.
  std::string text(bool closes, const AnswerPlace& place) const;
};

std::expected<PlainAnswer, Refusal> check_answer(AnswerHead head, const AnswerPlace& place);

// The trailers that may be passed on.
HttpFields plain_trailers(const HttpFields& trailers);

}  // namespace capsem::host::net
