#include "host/net/http_rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/text.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kLongestMethod = 32;

// RFC 9110, 7.6.1, and what was never said there but is of one connection as well.
constexpr std::array<std::string_view, 9> kHopByHop = {
    "Connection",        "Keep-Alive",          "Proxy-Connection", "Proxy-Authenticate", "TE",
    "Transfer-Encoding", "Proxy-Authorization", "Upgrade",          "HTTP2-Settings"};
// The first would bring a tunnel, the others say back what was sent, secrets of the host included.
constexpr std::array<std::string_view, 3> kRefusedMethods = {"CONNECT", "TRACE", "TRACK"};
// A Connection field must not take these from a message.
constexpr std::array<std::string_view, 3> kNotHopByHop = {"Host", "Content-Length",
                                                          "Transfer-Encoding"};
// Leads to another protocol, QUIC, or to another server.
constexpr std::string_view kAltSvc = "Alt-Svc";
// RFC 9110, 6.5.1: fields on which framing, routing or authority depend, which a recipient that
// merges trailers would take for the message's.
constexpr std::array<std::string_view, 12> kNoTrailers = {
    "Content-Length", "Host",          "Trailer",      "Authorization",
    "Cookie",         "Set-Cookie",    "Content-Type", "Content-Range",
    "Max-Forwards",   "Cache-Control", "Expect",       "Content-Encoding"};

std::unexpected<Refusal> refuse(unsigned status, std::string reason) {
  return std::unexpected(Refusal{status, std::move(reason)});
}

template <class Names>
bool has(const Names& names, std::string_view word) {
  return std::ranges::any_of(names, [&](std::string_view each) { return same_word(each, word); });
}

std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

struct Frame {
  std::optional<std::uint64_t> length;
  bool chunked = false;
};

// RFC 9112, 6.3, without what it allows for the sake of old software.
std::expected<Frame, Refusal> read_frame(const HttpFields& fields, unsigned version) {
  Frame frame;
  const auto lengths = fields.count("Content-Length");
  const auto encodings = fields.count("Transfer-Encoding");
  if (lengths > 0 && encodings > 0)
    return refuse(400, "it has both Content-Length and Transfer-Encoding");
  if (lengths > 1 || encodings > 1) return refuse(400, "it says twice how long it is");
  if (lengths == 1) {
    frame.length = decimal(*fields.find("Content-Length"));
    if (!frame.length) return refuse(400, "its Content-Length is no number");
  }
  if (encodings == 1) {
    if (!same_word(*fields.find("Transfer-Encoding"), "chunked"))
      return refuse(501, "its Transfer-Encoding is not 'chunked'");
    if (version < 11) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    frame.chunked = true;
  }
  return frame;
}

std::expected<void, Refusal> remove_hop_by_hop(HttpFields& fields) {
  const auto named = fields.words("Connection");
  for (const auto& name : named) {
    if (has(kNotHopByHop, name)) return refuse(400, "its Connection field names '" + name + "'");
    fields.remove(name);
  }
  for (auto name : kHopByHop) fields.remove(name);
  return {};
}

bool keeps_alive(const HttpFields& fields, unsigned version) {
  if (fields.lists("Connection", "close")) return false;
  return version >= 11 || fields.lists("Connection", "keep-alive");
}

bool asks_for_websocket(const HttpFields& fields) {
  const auto protocol = fields.find("Upgrade");
  return protocol && fields.count("Upgrade") == 1 && same_word(*protocol, "websocket") &&
         fields.lists("Connection", "upgrade");
}

std::expected<Authority, Refusal> read_authority(const RequestHead& head, const Target& target,
                                                 const RequestPlace& place) {
  if (head.fields.count("Host") != 1) return refuse(400, "it has not one Host field");
  auto authority = parse_authority(*head.fields.find("Host"));
  if (!authority) return authority;
  const std::uint16_t usual = place.secure ? 443 : 80;
  if (target.authority) {
    const auto port = [usual](const Authority& of) { return of.port.value_or(usual); };
    if (target.scheme != (place.secure ? "https" : "http"))
      return refuse(421, "its target has the scheme '" + target.scheme + "'");
    if (target.authority->host != authority->host || port(*target.authority) != port(*authority))
      return refuse(400, "its target and its Host field disagree");
  }
  if (authority->port && *authority->port != place.port)
    return refuse(421, "it is for port " + std::to_string(*authority->port) +
                           ", and this connection is to " + std::to_string(place.port));
  if (!place.host.empty() && authority->host != place.host)
    return refuse(
        421, "it is for '" + authority->host + "', and this connection is to '" + place.host + "'");
  return authority;
}

std::expected<void, Refusal> check_method(const RequestHead& head) {
  if (head.method.size() > kLongestMethod) return refuse(501, "its method is unknown");
  if (has(kRefusedMethods, head.method)) return refuse(405, "its method is " + head.method);
  const auto expect = head.fields.find("Expect");
  if (head.fields.count("Expect") > 1 || (expect && !same_word(*expect, "100-continue")))
    return refuse(417, "it expects what is unknown");
  return {};
}

bool has_no_body(unsigned status, const AnswerPlace& place) {
  return place.head || status / 100 == 1 || status == 204 || status == 304;
}

}  // namespace

std::expected<PlainRequest, Refusal> check_request(RequestHead head, const RequestPlace& place) {
  auto usual = check_method(head);
  if (!usual) return std::unexpected(usual.error());
  auto frame = read_frame(head.fields, head.version);
  if (!frame) return std::unexpected(frame.error());
  auto target = parse_target(head.method, head.target);
  if (!target) return std::unexpected(target.error());
  auto authority = read_authority(head, *target, place);
  if (!authority) return std::unexpected(authority.error());

  PlainRequest request;
  request.keep_alive = keeps_alive(head.fields, head.version);
  if (frame->chunked) request.framing = Framing::kChunked;
  if (frame->length) request.framing = Framing::kLength;
  request.length = frame->length.value_or(0);
  request.upgrade = asks_for_websocket(head.fields) && head.method == "GET" && head.version == 11 &&
                    !frame->chunked && request.length == 0;
  const bool trailers = head.fields.lists("TE", "trailers");
  auto removed = remove_hop_by_hop(head.fields);
  if (!removed) return std::unexpected(removed.error());
  if (trailers) head.fields.add("TE", "trailers");
  request.head = std::move(head);
  request.authority = std::move(*authority);
  request.target = std::move(*target);
  return request;
}

// No Via is added: it would tell servers of a proxy that the guest does not know either, and some
// (nginx: gzip_proxied) answer otherwise then.
std::string PlainRequest::text() const {
  std::string text = head.method + " " + target.sent + " HTTP/1.1\r\n";
  text += "Host: " + authority.text() + "\r\n";
  auto fields = head.fields;
  fields.remove("Host");
  text += fields.text();
  if (framing == Framing::kChunked) text += "Transfer-Encoding: chunked\r\n";
  std::string connection;
  if (upgrade) {
    text += "Upgrade: websocket\r\n";
    connection = "Upgrade";
  } else if (!keep_alive) {
    connection = "close";
  }
  if (fields.count("TE") > 0) connection += connection.empty() ? "TE" : ", TE";
  if (!connection.empty()) text += "Connection: " + connection + "\r\n";
  return text + "\r\n";
}

std::expected<PlainAnswer, Refusal> check_answer(AnswerHead head, const AnswerPlace& place) {
  auto frame = read_frame(head.fields, head.version);
  if (!frame) return std::unexpected(frame.error());
  if (head.status < 100) return refuse(502, "its status is none");
  PlainAnswer answer;
  answer.keep_alive = keeps_alive(head.fields, head.version);
  answer.upgrade = head.status == 101;
  if (answer.upgrade && (!place.upgrade || !asks_for_websocket(head.fields)))
    return refuse(502, "it changes to a protocol that was not asked for");
  auto removed = remove_hop_by_hop(head.fields);
  if (!removed) return std::unexpected(removed.error());
  head.fields.remove(kAltSvc);
  answer.length = frame->length.value_or(0);
  if (head.status / 100 == 1 || head.status == 204) head.fields.remove("Content-Length");
  if (has_no_body(head.status, place)) {
    answer.framing = Framing::kNone;
  } else if (frame->chunked) {
    answer.framing = Framing::kChunked;
  } else if (frame->length) {
    answer.framing = Framing::kLength;
  } else {
    answer.framing = Framing::kToEnd;
    answer.keep_alive = false;
  }
  answer.head = std::move(head);
  return answer;
}

std::string PlainAnswer::text(bool closes, const AnswerPlace& place) const {
  std::string text = "HTTP/1.1 " + std::to_string(head.status) + " " + head.reason + "\r\n";
  text += head.fields.text();
  // HTTP/1.0 knows no chunks: the end of the connection is the body's.
  if (framing == Framing::kChunked && place.version >= 11) text += "Transfer-Encoding: chunked\r\n";
  if (upgrade)
    text += "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  else if (closes && head.status / 100 != 1)
    text += "Connection: close\r\n";
  else if (place.version < 11 && head.status / 100 != 1)
    text += "Connection: keep-alive\r\n";
  return text + "\r\n";
}

HttpFields plain_trailers(const HttpFields& trailers) {
  HttpFields plain;
  for (const auto& field : trailers.all()) {
    if (has(kNoTrailers, field.name) || has(kHopByHop, field.name) ||
        same_word(field.name, kAltSvc)) {
      continue;
    }
    plain.add(field.name, field.value);
  }
  return plain;
}

}  // namespace capsem::host::net
