#include "host/net/secret_text.h"

#include <openssl/evp.h>

#include <array>
#include <charconv>

namespace capsem::host::net {
namespace {

constexpr std::string_view kUnreserved = "-._~";

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kUnreserved.contains(c);
}

// The target without the parameters of that name.
std::string without_parameter(const std::string& target, std::string_view name) {
  const auto mark = target.find('?');
  if (mark == std::string::npos) return target;
  std::string kept;
  std::string_view query = std::string_view(target).substr(mark + 1);
  for (bool more = true; more;) {
    const auto end = query.find('&');
    const auto parameter = query.substr(0, end);
    more = end != std::string_view::npos;
    if (more) query.remove_prefix(end + 1);
    if (percent_decoded(parameter.substr(0, parameter.find('='))) == name) continue;
    if (!kept.empty()) kept += '&';
    kept += parameter;
  }
  return target.substr(0, mark) + (kept.empty() ? "" : "?" + kept);
}

}  // namespace

std::string base64(std::string_view text) {
  constexpr std::size_t kGroup = 3;
  constexpr std::size_t kDigits = 4;
  std::string out((text.size() + kGroup - 1) / kGroup * kDigits + 1, '\0');  // it ends in '\0'
  const auto size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr unsigned kBase = 16;
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(c))
      out += c;
    else
      out.append({'%', kDigits[byte / kBase], kDigits[byte % kBase]});
  }
  return out;
}

std::string percent_decoded(std::string_view text) {
  constexpr std::size_t kLength = 3;
  constexpr int kBase = 16;
  std::string out;
  while (!text.empty()) {
    unsigned value = 0;
    const auto digits = text.substr(1, kLength - 1);
    const bool encoded =
        text.front() == '%' && digits.size() == kLength - 1 &&
        std::from_chars(digits.data(), digits.data() + digits.size(), value, kBase).ptr ==
            digits.data() + digits.size();
    out += encoded ? static_cast<char>(value) : text.front();
    text.remove_prefix(encoded ? kLength : 1);
  }
  return out;
}

std::string placed_secret(const Secret& secret, std::string_view value) {
  if (secret.place == Secret::Place::kQuery) return percent_encoded(value);
  if (!secret.user.empty()) return base64(secret.user + ":" + std::string(value));
  return std::string(value);
}

std::string placed_text(const Secret& secret, std::string_view value) {
  const std::string before = secret.user.empty() ? secret.prefix : "Basic ";
  return before + placed_secret(secret, value);
}

void remove_place(PlainRequest& request, const Secret& secret) {
  if (secret.place == Secret::Place::kHeader)
    request.head.fields.remove(secret.field);
  else
    request.target.sent = without_parameter(request.target.sent, secret.field);
}

void set_place(PlainRequest& request, const Secret& secret, std::string_view value) {
  remove_place(request, secret);
  const auto text = placed_text(secret, value);
  if (secret.place == Secret::Place::kHeader) return request.head.fields.add(secret.field, text);
  auto& target = request.target.sent;
  if (!target.starts_with('/')) return;  // "*" has no query
  target += target.contains('?') ? '&' : '?';
  target += secret.field + "=" + text;
}

}  // namespace capsem::host::net
