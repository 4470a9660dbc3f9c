#include "host/net/host_name.h"

#include <idn2.h>

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "host/net/network.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kLongestName = 253;      // RFC 1035, 2.3.4, as text
constexpr std::size_t kLongestLabel = 63;      // the same
constexpr std::size_t kLongestWritten = 1024;  // in any script
constexpr std::string_view kALabel = "xn--";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kHexDigits = "0123456789abcdef";

struct Freed {
  void operator()(char* text) const { idn2_free(text); }
};
using Text = std::unique_ptr<char, Freed>;

std::unexpected<Error> refuse(std::string_view text, std::string reason) {
  constexpr std::size_t kShown = 80;
  auto shown = printable(text.substr(0, kShown)) + (text.size() > kShown ? "..." : "");
  return fail("read", "the host name '" + shown + "'", std::move(reason), "", ErrorKind::kInvalid);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool made_of(std::string_view text, std::string_view bytes) {
  return text.find_first_not_of(bytes) == std::string_view::npos;
}

bool is_number(std::string_view label) {
  return made_of(label, kDigits) ||
         (label.starts_with("0x") && made_of(label.substr(2), kHexDigits));
}

bool stands_for_something(const std::string& a_label) {
  char* unicode = nullptr;
  int result = idn2_to_unicode_8z8z(a_label.c_str(), &unicode, 0);
  Text owned(unicode);
  return result == IDN2_OK;
}

// Why it is no label, if it is none.
const char* fault_of(std::string_view label) {
  if (label.empty()) return "it has an empty label";
  if (label.size() > kLongestLabel) return "a label is longer than 63 characters";
  if (!std::ranges::all_of(label, is_name_byte)) return "it has a character that no host name has";
  if (label.starts_with('-') || label.ends_with('-')) return "a label begins or ends with '-'";
  if (label.starts_with(kALabel) && !stands_for_something(std::string(label)))
    return "a label that begins with xn-- stands for no name";
  return nullptr;
}

}  // namespace

Result<std::string> normal_host(std::string_view text) {
  std::string name(text.substr(0, text.ends_with('.') ? text.size() - 1 : text.size()));
  if (name.empty()) return refuse(text, "it is empty");
  if (name.size() > kLongestName) return refuse(text, "it is longer than 253 characters");
  std::ranges::transform(name, name.begin(), lower);
  auto labels = split(name, '.');
  for (auto label : labels)
    if (const auto* fault = fault_of(label)) return refuse(text, fault);
  if (is_number(labels.back())) return refuse(text, "its last label is a number");
  return name;
}

bool is_normal_host(std::string_view name) {
  auto dot = name.rfind('.');
  auto last = dot == std::string_view::npos ? name : name.substr(dot + 1);
  return !last.empty() && !is_number(last) && !name.starts_with('.') &&
         std::ranges::all_of(name, [](char c) { return is_name_byte(c) || c == '.'; });
}

Result<std::string> written_host(std::string_view text) {
  if (std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; })) return normal_host(text);
  if (text.size() > kLongestWritten) return refuse(text, "it is too long");
  if (!is_utf8(text) || text.find('\0') != std::string_view::npos)
    return refuse(text, "it is not UTF-8");
  char* found = nullptr;
  int result =
      idn2_to_ascii_8z(std::string(text).c_str(), &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  Text ascii(found);
  if (result != IDN2_OK) return refuse(text, idn2_strerror(result));
  return normal_host(ascii.get());
}

Result<HostTarget> parse_target(std::string_view text) {
  if (text.starts_with('[')) {
    auto address =
        text.ends_with(']') ? parse_address(text.substr(1, text.size() - 2)) : std::nullopt;
    if (!address || !address->is_v6()) return refuse(text, "it is no IPv6 address in brackets");
    return HostTarget{.name = {}, .address = plain(*address)};
  }
  auto address = parse_address(text);
  if (address && address->is_v4()) return HostTarget{.name = {}, .address = *address};
  auto name = normal_host(text);
  if (!name) return propagate(name);
  return HostTarget{.name = std::move(*name), .address = std::nullopt};
}

}  // namespace capsem::host::net
