#include "host/net/http_target.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <utility>

#include "base/text.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kLongestName = 253;  // RFC 1035
constexpr std::size_t kLongestLabel = 63;

std::unexpected<Refusal> refuse(std::string reason) {
  return std::unexpected(Refusal{400, std::move(reason)});
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (auto& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

bool is_label(std::string_view label) {
  auto allowed = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  };
  return !label.empty() && label.size() <= kLongestLabel && std::ranges::all_of(label, allowed);
}

// The URL standard, "ends in a number": such a host is an address, or nothing.
bool ends_in_number(std::string_view last_label) {
  return is_digit(last_label.front()) &&
         (std::ranges::all_of(last_label, is_digit) || last_label.starts_with("0x"));
}

std::optional<std::string> host_name(std::string_view text) {
  auto name = lower_case(text);
  if (name.ends_with('.')) name.pop_back();
  if (name.size() > kLongestName) return std::nullopt;
  const auto labels = split(name, '.');
  if (labels.empty() || !std::ranges::all_of(labels, is_label)) return std::nullopt;
  if (!ends_in_number(labels.back())) return name;
  boost::system::error_code error;
  auto address = asio::ip::make_address_v4(name, error);
  if (error || address.to_string() != name) return std::nullopt;
  return name;
}

std::optional<std::string> bracketed_address(std::string_view text) {
  boost::system::error_code error;
  auto address = asio::ip::make_address_v6(std::string(text), error);
  if (error || address.scope_id() != 0 || text.contains('%')) return std::nullopt;
  return address.to_string();
}

std::optional<std::uint16_t> port_number(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::expected<Target, Refusal> origin_form(std::string_view text) {
  auto path = text.substr(0, text.find('?'));
  if (!path.starts_with('/')) return refuse("its target is no path");
  if (text.contains('#')) return refuse("its target has a fragment");
  if (path.contains("%00")) return refuse("its path has a NUL");
  return Target{std::string(text), std::string(path), std::nullopt, {}};
}

std::expected<Target, Refusal> absolute_form(std::string_view text, std::size_t scheme_size) {
  auto rest = text.substr(scheme_size + 3);
  const auto end = std::min(rest.find_first_of("/?#"), rest.size());
  auto authority = parse_authority(rest.substr(0, end));
  if (!authority) return std::unexpected(authority.error());
  rest.remove_prefix(end);
  std::string path(rest);
  if (path.empty() || path.front() == '?') path.insert(0, 1, '/');
  auto target = origin_form(path);
  if (!target) return target;
  target->authority = std::move(*authority);
  target->scheme = lower_case(text.substr(0, scheme_size));
  return target;
}

}  // namespace

std::string Authority::text() const {
  std::string text = host.contains(':') ? "[" + host + "]" : host;
  if (port) text += ":" + std::to_string(*port);
  return text;
}

std::expected<Authority, Refusal> parse_authority(std::string_view text) {
  Authority authority;
  std::optional<std::string> host;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return refuse("its host has half a pair of brackets");
    host = bracketed_address(text.substr(1, close - 1));
    rest = text.substr(close + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    host = host_name(text.substr(0, colon));
    rest = text.substr(colon);
  }
  if (!host) return refuse("its host is no name and no address");
  authority.host = std::move(*host);
  if (rest.empty()) return authority;
  authority.port = port_number(rest.substr(1));
  if (rest.front() != ':' || !authority.port) return refuse("the port of its host is no port");
  return authority;
}

std::expected<Target, Refusal> parse_target(std::string_view method, std::string_view target) {
  if (target == "*") {
    if (method != "OPTIONS") return refuse("its target is '*'");
    return Target{"*", "*", std::nullopt, {}};
  }
  if (target.starts_with('/')) return origin_form(target);
  for (std::string_view scheme : {"http", "https"}) {
    if (target.size() > scheme.size() && same_word(target.substr(0, scheme.size()), scheme) &&
        target.substr(scheme.size()).starts_with("://")) {
      return absolute_form(target, scheme.size());
    }
  }
  return refuse("its target is neither a path nor a URL of http");
}

}  // namespace capsem::host::net
