#include "host/net/policy_secret.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kLongestName = 128;

// On these depend where a message ends, whom it is for, and what a connection is.
constexpr std::array<std::string_view, 14> kRefusedHeaders = {"connection",
                                                              "content-length",
                                                              "content-encoding",
                                                              "expect",
                                                              "host",
                                                              "keep-alive",
                                                              "proxy-connection",
                                                              "proxy-authorization",
                                                              "te",
                                                              "trailer",
                                                              "upgrade",
                                                              "accept-encoding",
                                                              "transfer-encoding",
                                                              "http2-settings"};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool is_of(std::string_view text, std::string_view marks) {
  return !text.empty() && text.size() <= kLongestName && std::ranges::all_of(text, [&](char c) {
    return is_letter(c) || is_digit(c) || marks.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string SecretSource::text() const {
  const auto& first = words.front();
  switch (kind) {
    case Kind::kEnvironment:
      return "the variable '" + first + "'";
    case Kind::kFile:
      return "the file '" + first + "'";
    case Kind::kCommand:
      break;
  }
  return "the command '" + join(words, " ") + "'";
}

std::string Secret::placeholder() const {
  return std::string(kPlaceholderStem) + name;
}

std::string text_of(const Secret& secret) {
  const bool header = secret.place == Secret::Place::kHeader;
  return secret.name + " in the " + (header ? "header" : "parameter") + " '" + secret.field +
         "', from " + printable(secret.source.text());
}

const char* fault_of_secret_name(std::string_view name) {
  if (!is_of(name, "_") || is_digit(name.front())) return "is not the name of a variable";
  return nullptr;
}

const char* fault_of_secret_header(std::string_view name) {
  if (!is_of(name, "-_")) return "is not the name of a header";
  if (std::ranges::find(kRefusedHeaders, lower(name)) != kRefusedHeaders.end())
    return "is a header of the connection itself";
  return nullptr;
}

const char* fault_of_secret_query(std::string_view name) {
  return is_of(name, "-_.~") ? nullptr : "is not of letters, digits and -_.~";
}

}  // namespace capsem::host::net
