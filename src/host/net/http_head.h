// Heads of HTTP/1.1 messages: the text, held to the letter of RFC 9112, and the fields in it.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capsem::host::net {

// Why a message is not passed on: what the client is answered with.
struct Refusal {
  unsigned status = 400;
  std::string reason;
};

struct HttpField {
  std::string name;
  std::string value;
};

// In their order, each as it was spelt.
class HttpFields {
 public:
  void add(std::string name, std::string value) {
    fields_.push_back({std::move(name), std::move(value)});
  }
  // Names are compared without regard to case.
  std::size_t count(std::string_view name) const;
  // The value of the first with that name.
  std::optional<std::string_view> find(std::string_view name) const;
  void remove(std::string_view name);
  // Whether the comma-separated list of some field of that name has `word`.
  bool lists(std::string_view name, std::string_view word) const;
  // All words of those lists.
  std::vector<std::string> words(std::string_view name) const;

  const std::vector<HttpField>& all() const { return fields_; }
  // "Name: value\r\n" for each.
  std::string text() const;

 private:
  std::vector<HttpField> fields_;
};

struct RequestHead {
  std::string method;
  std::string target;
  unsigned version = 11;  // 10 or 11
  HttpFields fields;
};

struct AnswerHead {
  unsigned status = 0;
  std::string reason;
  unsigned version = 11;
  HttpFields fields;
};

struct HeadLimits {
  std::size_t bytes = 32 << 10;
  std::size_t first_line_bytes = 16 << 10;
  std::size_t fields = 256;
};

// Checks `head`, up to and with its empty line, for what parsers read differently: a line that does
// not end in CR LF, a folded line (obs-fold), a name that is not a token right before its colon,
// control characters. Refused with 400, what is too large with 431 or 414.
std::expected<void, Refusal> check_head_text(std::string_view head, const HeadLimits& limits);

bool same_word(std::string_view a, std::string_view b);  // without regard to case
bool is_token(std::string_view text);                    // RFC 9110, 5.6.2
bool is_control(char c);                                 // but the tab, which a value may have

}  // namespace capsem::host::net
