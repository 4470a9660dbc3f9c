// Passes the body of one HTTP/1.1 message on as it comes.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/exchange_filter.h"
#include "host/net/http_input.h"
#include "host/net/http_parser.h"
#include "host/net/http_rules.h"

namespace capsem::host::net {

// How a body is passed on, and how far that is.
struct BodyWay {
  bool chunked = false;     // the recipient gets chunks
  std::uint64_t bytes = 0;  // of the body, passed on so far
  bool write_failed = false;
  ExchangeFilter* filter = nullptr;  // that each piece goes through; may be null
  std::string fault;                 // why the filter let it go no further
};

// Reads the rest of the message of `parser`, whose head is done, and writes it to `to`; what one
// read brings is written before the next. Chunks are made anew, without extensions. A null `to`
// drops it. kInvalid when the body breaks the rules of its format, kPermission when the filter
// stops it.
template <bool kRequest>
Task<Result<>> relay_body(HttpInput& from, HttpParser<kRequest>& parser, async::Stream* to,
                          BodyWay& way);

extern template Task<Result<>> relay_body(HttpInput&, HttpParser<true>&, async::Stream*, BodyWay&);
extern template Task<Result<>> relay_body(HttpInput&, HttpParser<false>&, async::Stream*, BodyWay&);

}  // namespace capsem::host::net
