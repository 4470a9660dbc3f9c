#include "host/net/http2_heads.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace capsem::host::net {
namespace {

constexpr unsigned kVersion = 20;
// RFC 9113, 6.5.2: what a field counts beside its name and value.
constexpr std::size_t kFieldOverhead = 32;
// A head of many times the limit is an attack.
constexpr std::size_t kHopelessFactor = 4;
constexpr std::string_view kWebSocket = "websocket";

std::unexpected<Refusal> refuse(unsigned status, std::string reason) {
  return std::unexpected(Refusal{status, std::move(reason)});
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (auto& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

std::string* pseudo_field(Http2Block& block, std::string_view name) {
  struct Row {
    std::string_view name;
    std::string Http2Block::* value;
  };
  static constexpr Row kRows[] = {
      {":method", &Http2Block::method},       {":scheme", &Http2Block::scheme},
      {":authority", &Http2Block::authority}, {":path", &Http2Block::path},
      {":protocol", &Http2Block::protocol},   {":status", &Http2Block::status},
  };
  for (const auto& row : kRows)
    if (row.name == name) return &(block.*row.value);
  return nullptr;
}

// The Host field becomes what both of them say, as there is one in HTTP/1.1.
std::expected<void, Refusal> combine_hosts(Http2Block& block, std::uint16_t usual_port) {
  if (block.fields.count("Host") > 1) return refuse(400, "it has several Host fields");
  if (auto host = block.fields.find("Host"); host && !block.authority.empty()) {
    auto from_field = parse_authority(*host);
    auto from_authority = parse_authority(block.authority);
    if (!from_field) return std::unexpected(from_field.error());
    if (!from_authority) return std::unexpected(from_authority.error());
    if (from_field->host != from_authority->host ||
        from_field->port.value_or(usual_port) != from_authority->port.value_or(usual_port))
      return refuse(400, "its ':authority' and its Host field disagree");
  }
  if (block.authority.empty()) return {};
  block.fields.remove("Host");
  block.fields.add("host", block.authority);
  return {};
}

std::expected<void, Refusal> check_target(const Http2Block& block, const HeadLimits& limits) {
  if (block.path.size() > limits.first_line_bytes) return refuse(414, "its path is too long");
  // The absolute form is HTTP/1.1's; here it would say a second time whom the request is for.
  if (!block.path.starts_with('/') && block.path != "*")
    return refuse(400, "its ':path' is no path");
  if (std::ranges::any_of(block.path,
                          [](char c) { return is_control(c) || c == ' ' || c == '\t'; }))
    return refuse(400, "its ':path' has a space or a control character");
  return {};
}

Http2Fields with_lower_case(std::vector<HttpField> begin, const HttpFields& fields,
                            std::vector<std::string> never_indexed) {
  Http2Fields result{.all = std::move(begin), .never_indexed = std::move(never_indexed)};
  for (const auto& field : fields.all()) {
    if (same_word(field.name, "Host")) continue;
    result.all.push_back({lower_case(field.name), field.value});
  }
  return result;
}

}  // namespace

void Http2Block::malform(std::string reason) {
  if (refusal.status == 0) refusal = {.status = 400, .reason = std::move(reason)};
}

bool Http2Block::add(std::string_view name, std::string_view value, bool is_never_indexed,
                     const HeadLimits& limits) {
  bytes += name.size() + value.size() + kFieldOverhead;
  ++count;
  if (bytes > limits.bytes || count > limits.fields) {
    malform("its head is too large");
    refusal.status = 431;
    return bytes <= limits.bytes * kHopelessFactor && count <= limits.fields * kHopelessFactor;
  }
  if (auto* pseudo = pseudo_field(*this, name)) {
    if (!pseudo->empty()) malform("it has '" + std::string(name) + "' twice");
    *pseudo = value;
    return true;
  }
  // nghttp2 has looked at them; whether a field may be passed on is no matter of its version.
  if (!is_token(name)) malform("the name of a field is no token");
  if (std::ranges::any_of(value, is_control)) malform("it has control characters");
  fields.add(std::string(name), std::string(value));
  if (is_never_indexed) never_indexed.emplace_back(name);
  return true;
}

std::expected<Http2Request, Refusal> check_request(Http2Block block, const RequestPlace& place,
                                                   const HeadLimits& limits) {
  if (block.refusal.status != 0) return std::unexpected(block.refusal);
  Http2Request request;
  request.websocket = block.method == "CONNECT" && !block.protocol.empty();
  if (request.websocket && !same_word(block.protocol, kWebSocket))
    return refuse(501, "it asks for a protocol that is unknown");
  if (block.method == "CONNECT" && !request.websocket) return refuse(405, "its method is CONNECT");
  if (!is_token(block.method)) return refuse(400, "its method is no token");
  auto checked = check_target(block, limits);
  if (checked) checked = combine_hosts(block, place.secure ? 443 : 80);
  if (!checked) return std::unexpected(checked.error());
  if (block.scheme != (place.secure ? "https" : "http"))
    return refuse(421, "its scheme is '" + block.scheme + "'");
  RequestHead head{.method = request.websocket ? "GET" : std::move(block.method),
                   .target = std::move(block.path),
                   .version = kVersion,
                   .fields = std::move(block.fields)};
  auto plain = check_request(std::move(head), place);
  if (!plain) return std::unexpected(plain.error());
  request.plain = std::move(*plain);
  request.never_indexed = std::move(block.never_indexed);
  return request;
}

Http2Fields Http2Request::fields() const {
  std::vector<HttpField> begin{{":method", websocket ? "CONNECT" : plain.head.method},
                               {":scheme", "https"},
                               {":authority", plain.authority.text()},
                               {":path", plain.target.sent}};
  if (websocket) begin.push_back({":protocol", std::string(kWebSocket)});
  return with_lower_case(std::move(begin), plain.head.fields, never_indexed);
}

std::expected<PlainAnswer, Refusal> check_answer(Http2Block block, const AnswerPlace& place) {
  if (block.refusal.status != 0) return refuse(502, block.refusal.reason);
  AnswerHead head{.reason = {}, .version = kVersion, .fields = std::move(block.fields)};
  const char* end = block.status.data() + block.status.size();
  auto [parsed, error] = std::from_chars(block.status.data(), end, head.status);
  if (error != std::errc() || parsed != end) return refuse(502, "its status is none");
  return check_answer(std::move(head), place);
}

Http2Fields fields_of(const PlainAnswer& answer) {
  return with_lower_case({{":status", std::to_string(answer.head.status)}}, answer.head.fields, {});
}

Http2Fields text_answer(unsigned status, std::size_t size) {
  return {.all = {{":status", std::to_string(status)},
                  {"content-type", "text/plain; charset=utf-8"},
                  {"cache-control", "no-store"},
                  {"content-length", std::to_string(size)}},
          .never_indexed = {}};
}

}  // namespace capsem::host::net
