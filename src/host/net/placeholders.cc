#include "host/net/placeholders.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "host/net/secret_text.h"

namespace capsem::host::net {
namespace {

// Of what is decoded again.
constexpr int kMostDecodings = 3;
// Bytes that base64 encodes at a time.
constexpr std::size_t kGroup = 3;

std::string url_safe(std::string text) {
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

// What is in a base64 text that has `text` in it behind `offset` bytes of a group of three,
// whatever stands before and behind it.
std::string in_base64(const std::string& text, std::size_t offset) {
  constexpr std::size_t kBits = 8;
  constexpr std::size_t kDigitBits = 6;
  const auto encoded = base64(std::string(offset, '\0') + text);
  const auto begin = (offset * kBits + kDigitBits - 1) / kDigitBits;
  const auto end = (offset + text.size()) * kBits / kDigitBits;
  return encoded.substr(begin, end - begin);
}

std::string found(std::string_view name, const std::string& where) {
  return "the placeholder of the secret '" + std::string(name) + "' is in " + where;
}

}  // namespace

Placeholders::Placeholders(std::span<const Secret> secrets) {
  std::vector<std::string_view> names;
  for (const auto& secret : secrets) {
    if (std::ranges::find(names, secret.name) != names.end()) continue;
    names.push_back(secret.name);
    const auto text = secret.placeholder();
    needles_.push_back({text, secret.name});
    for (std::size_t offset = 0; offset < kGroup; ++offset) {
      auto encoded = in_base64(text, offset);
      if (auto other = url_safe(encoded); other != encoded)
        needles_.push_back({other, secret.name});
      needles_.push_back({std::move(encoded), secret.name});
    }
  }
  if (!secrets.empty()) stems_.emplace_back(kPlaceholderStem);
  for (std::size_t offset = 0; offset < kGroup && !secrets.empty(); ++offset)
    stems_.push_back(in_base64(std::string(kPlaceholderStem), offset));
  for (const auto& needle : needles_) longest_ = std::max(longest_, needle.text.size());
}

const Placeholders::Needle* Placeholders::find(std::string_view text) const {
  const bool possible = std::ranges::any_of(stems_, [&](const auto& stem) {
    return ::memmem(text.data(), text.size(), stem.data(), stem.size()) != nullptr;
  });
  if (!possible) return nullptr;
  auto at = std::ranges::find_if(needles_,
                                 [&](const Needle& needle) { return text.contains(needle.text); });
  return at == needles_.end() ? nullptr : &*at;
}

const Placeholders::Needle* Placeholders::find_in_any_form(std::string_view text) const {
  std::string form(text);
  for (int i = 0; i <= kMostDecodings; ++i) {
    if (const auto* needle = find(form)) return needle;
    auto decoded = percent_decoded(form);
    if (decoded == form) break;
    form = std::move(decoded);
  }
  return nullptr;
}

std::optional<std::string> Placeholders::find_in_head(const PlainRequest& request,
                                                      std::span<const Secret> own) const {
  if (empty()) return std::nullopt;
  PlainRequest rest = request;
  for (const auto& secret : own) remove_place(rest, secret);
  if (const auto* needle = find_in_any_form(rest.head.method))
    return found(needle->name, "the method");
  if (const auto* needle = find_in_any_form(rest.target.sent))
    return found(needle->name, "the target");
  return find_in_fields(rest.head.fields);
}

std::optional<std::string> Placeholders::find_in_fields(const HttpFields& fields) const {
  for (const auto& field : fields.all())
    for (const auto* text : {&field.value, &field.name})
      if (const auto* needle = find_in_any_form(*text))
        return found(needle->name, "the header '" + field.name + "'");
  return std::nullopt;
}

std::optional<std::string> Placeholders::BodySearch::next(std::string_view piece) {
  if (placeholders_->empty()) return std::nullopt;
  end_ += piece;
  if (const auto* needle = placeholders_->find(end_)) return found(needle->name, "the body");
  const auto kept = std::min(end_.size(), placeholders_->longest_ - 1);
  end_.erase(0, end_.size() - kept);
  return std::nullopt;
}

}  // namespace capsem::host::net
