#include "host/net/http_head.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/text.h"

namespace capsem::host::net {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_token_character(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kMarks.contains(c);
}

std::unexpected<Refusal> refuse(unsigned status, std::string reason) {
  return std::unexpected(Refusal{status, std::move(reason)});
}

std::expected<void, Refusal> check_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t')
    return refuse(400, "a field goes on in a second line");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a field has no colon");
  if (!is_token(line.substr(0, colon))) return refuse(400, "the name of a field is no token");
  return {};
}

}  // namespace

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

std::size_t HttpFields::count(std::string_view name) const {
  auto has_name = [name](const HttpField& field) { return same_word(field.name, name); };
  return static_cast<std::size_t>(std::ranges::count_if(fields_, has_name));
}

std::optional<std::string_view> HttpFields::find(std::string_view name) const {
  for (const auto& field : fields_)
    if (same_word(field.name, name)) return field.value;
  return std::nullopt;
}

void HttpFields::remove(std::string_view name) {
  std::erase_if(fields_, [name](const HttpField& field) { return same_word(field.name, name); });
}

std::vector<std::string> HttpFields::words(std::string_view name) const {
  std::vector<std::string> words;
  for (const auto& field : fields_) {
    if (!same_word(field.name, name)) continue;
    for (auto part : split(field.value, ','))
      if (auto word = trim(part); !word.empty()) words.emplace_back(word);
  }
  return words;
}

bool HttpFields::lists(std::string_view name, std::string_view word) const {
  const auto all_words = words(name);
  return std::ranges::any_of(all_words, [&](const auto& each) { return same_word(each, word); });
}

std::string HttpFields::text() const {
  std::string text;
  for (const auto& field : fields_) text += field.name + ": " + field.value + "\r\n";
  return text;
}

std::expected<void, Refusal> check_head_text(std::string_view head, const HeadLimits& limits) {
  if (head.size() > limits.bytes) return refuse(431, "the head is too large");
  std::size_t lines = 0;
  while (true) {
    const auto end = head.find(kLineEnd);
    if (end == std::string_view::npos) return refuse(400, "a line does not end in CR LF");
    const auto line = head.substr(0, end);
    head.remove_prefix(end + kLineEnd.size());
    if (line.empty()) break;
    // A CR or LF of its own is one of them.
    if (std::ranges::any_of(line, is_control)) return refuse(400, "it has control characters");
    if (lines++ == 0) {
      if (line.size() > limits.first_line_bytes) return refuse(414, "the first line is too long");
      continue;
    }
    if (lines > limits.fields + 1) return refuse(431, "it has too many fields");
    auto checked = check_field(line);
    if (!checked) return checked;
  }
  if (lines == 0 || !head.empty()) return refuse(400, "the first line is missing");
  return {};
}

}  // namespace capsem::host::net
