#include "host/net/policy_rule.h"

#include <charconv>

#include "host/net/host_name.h"

namespace capsem::host::net {
namespace {

constexpr std::string_view kBelow = "*.";

Result<HostPattern> refuse(std::string_view text, std::string reason, std::string advice) {
  return fail("read", "the host \"" + std::string(text) + "\"", std::move(reason),
              std::move(advice), ErrorKind::kInvalid);
}

Result<HostPattern> of_network(std::string_view text, const Address& address, unsigned length) {
  if (plain(address) != address)
    return refuse(text, "it is an IPv4 address in an IPv6 one", "write the IPv4 address");
  auto bytes = masked(bytes_of(address), length);
  if (bytes == bytes_of(address))
    return HostPattern{.kind = HostPattern::Kind::kNetwork,
                       .name = {},
                       .network = {.address = address, .length = length}};
  Network first{.address = address_of(bytes, address.is_v4()), .length = length};
  return refuse(text, "the address has bits after the length of its network",
                "write \"" + first.text() + "\"");
}

Result<HostPattern> of_range(std::string_view text, std::size_t slash) {
  constexpr const char* kAdvice = "write a network as \"10.0.0.0/8\" or \"fd00::/8\"";
  auto address = parse_address(text.substr(0, slash));
  auto bits = text.substr(slash + 1);
  unsigned length = 0;
  const char* end = bits.data() + bits.size();
  auto [rest, error] = std::from_chars(bits.data(), bits.data() + bits.size(), length);
  bool number = error == std::errc() && rest == end && (bits == "0" || !bits.starts_with('0'));
  if (!address || !number || length > bits_of(*address))
    return refuse(text, "it is no network", kAdvice);
  return of_network(text, *address, length);
}

}  // namespace

Result<HostPattern> HostPattern::parse(std::string_view text) {
  constexpr const char* kAdvice =
      "write a name, \"*.\" before a name, an address, a network or \"*\"; ports and paths have "
      "keys of their own";
  if (text == "*") return HostPattern{};
  if (auto slash = text.find('/'); slash != std::string_view::npos) {
    if (text.find("://") != std::string_view::npos) return refuse(text, "it is a URL", kAdvice);
    return of_range(text, slash);
  }
  if (auto address = parse_address(text)) return of_network(text, *address, bits_of(*address));
  HostPattern pattern{.kind = Kind::kName, .name = {}, .network = {}};
  if (text.starts_with(kBelow)) {
    pattern.kind = Kind::kBelow;
    text.remove_prefix(kBelow.size());
  }
  if (text.find('*') != std::string_view::npos)
    return refuse(text, "a '*' stands at its start alone, before a dot", kAdvice);
  auto name = written_host(text);
  if (!name) return refuse(text, name.error().reason(), kAdvice);
  pattern.name = std::move(*name);
  return pattern;
}

std::string HostPattern::text() const {
  switch (kind) {
    case Kind::kAny:
      return "*";
    case Kind::kName:
      return name;
    case Kind::kBelow:
      return std::string(kBelow) + name;
    case Kind::kNetwork:
      return network.text();
  }
  return {};
}

}  // namespace capsem::host::net
