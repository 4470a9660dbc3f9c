// Host names in one form, in which they are compared, logged and asked for: lower case, no dot at
// the end, other scripts than Latin as A-labels (RFC 5890). What resolvers, browsers and libraries
// read in different ways is refused, so that what was judged is what is reached.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "host/net/flow.h"

namespace capsem::host::net {

// A name as protocols carry it. Refused: anything but letters, digits, '-' and '_' (which real
// servers have), an empty or over-long label or name, an A-label that stands for nothing, and
// addresses in any spelling, as a last label that is a number is read as one (WHATWG URL, 3.5).
Result<std::string> normal_host(std::string_view text);

// Whether `name` may be one that normal_host() gave; a cheap look, against callers that forgot it.
bool is_normal_host(std::string_view name);

// A name as a person writes it, in any script.
Result<std::string> written_host(std::string_view text);

// Where something is to go: a name, or an address with an empty name.
struct HostTarget {
  std::string name;
  std::optional<Address> address;
};

// A host of a URL or of a Host header, without its port: a name as protocols carry it, an IPv4
// address, or an IPv6 address in brackets.
Result<HostTarget> parse_target(std::string_view text);

}  // namespace capsem::host::net
