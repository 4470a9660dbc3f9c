// Whom a request is for and what it asks there, in the one reading that is judged and passed on.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "host/net/http_head.h"

namespace capsem::host::net {

// "host[:port]" of a Host field or an absolute target. The host is a name in lower case without
// trailing dot, or an address in its usual form.
struct Authority {
  std::string host;
  std::optional<std::uint16_t> port;
  bool operator==(const Authority&) const = default;

  // As it is sent: an IPv6 address in brackets.
  std::string text() const;
};

// Refuses user information, zones, and addresses in any spelling but the usual one (octal,
// hexadecimal, short, as one number).
std::expected<Authority, Refusal> parse_authority(std::string_view text);

struct Target {
  std::string sent;                    // origin-form, or "*"
  std::string judged;                  // the path, without its query; rules read it as RequestPath
  std::optional<Authority> authority;  // of an absolute-form
  std::string scheme;                  // of an absolute-form
};

// Refuses what is no target of a request, and not what servers read in several ways.
std::expected<Target, Refusal> parse_target(std::string_view method, std::string_view target);

}  // namespace capsem::host::net
