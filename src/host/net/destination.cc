#include "host/net/destination.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "host/net/network.h"

namespace capsem::host::net {
namespace {

struct Scheme {
  std::string_view name;
  std::uint16_t port;
};

constexpr std::uint16_t kHttp = 80;
constexpr std::uint16_t kHttps = 443;
constexpr std::array kSchemes = {Scheme{"https", kHttps}, Scheme{"http", kHttp},
                                 Scheme{"wss", kHttps}, Scheme{"ws", kHttp}};
constexpr std::string_view kAfterScheme = "://";

std::unexpected<Error> refuse(std::string_view text, std::string reason) {
  return fail("read", "'" + printable(text) + "'", std::move(reason),
              "write as in 'https://example.com/path' or 'example.com:22'", ErrorKind::kInvalid);
}

// As parse_target(), with names in any script.
Result<HostTarget> written_target(std::string_view text) {
  if (text.starts_with('[') || parse_address(text)) return parse_target(text);
  auto name = written_host(text);
  if (!name) return propagate(name);
  return HostTarget{.name = std::move(*name), .address = std::nullopt};
}

bool read_port(std::string_view text, std::uint16_t& port) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

}  // namespace

Result<Destination> parse_destination(std::string_view text) {
  Destination destination;
  destination.port = kHttps;
  auto rest = text;
  if (auto end = text.find(kAfterScheme); end != std::string_view::npos) {
    const auto* scheme = std::ranges::find(kSchemes, text.substr(0, end), &Scheme::name);
    if (scheme == kSchemes.end()) return refuse(text, "its scheme is not http, https, ws or wss");
    destination.scheme = scheme->name;
    destination.port = scheme->port;
    rest.remove_prefix(end + kAfterScheme.size());
  }
  auto authority = rest.substr(0, rest.find_first_of("/?#"));
  auto path = rest.substr(authority.size());
  path = path.substr(0, path.find('#'));
  if (destination.scheme.empty() && !path.empty())
    return refuse(text, "it has a path and no scheme");
  destination.path = (path.starts_with('/') ? "" : "/") + std::string(path);
  if (authority.find('@') != std::string_view::npos)
    return refuse(text, "it has a user's name before the host");
  auto colon = authority.rfind(':');
  bool has_port = colon != std::string_view::npos && authority.find(']', colon) == authority.npos;
  if (has_port && !read_port(authority.substr(colon + 1), destination.port))
    return refuse(text, "its port is not a number from 1 to 65535");
  auto target = written_target(has_port ? authority.substr(0, colon) : authority);
  if (!target) return refuse(text, target.error().reason());
  destination.target = std::move(*target);
  return destination;
}

}  // namespace capsem::host::net
