#include "client/detach_keys.h"

#include <optional>

#include "base/text.h"

namespace capsem::client {
namespace {

constexpr std::string_view kControl = "ctrl-";

// The byte that a terminal sends for the key.
std::optional<char> byte_of(std::string_view key) {
  if (key.size() == 1 && key[0] > ' ' && key[0] < '\x7f') return key[0];
  if (!key.starts_with(kControl) || key.size() != kControl.size() + 1) return std::nullopt;
  char last = key.back();
  if (last >= 'a' && last <= 'z') last = static_cast<char>(last - 'a' + 'A');
  if (last < '@' || last > '_') return std::nullopt;
  return static_cast<char>(last - '@');
}

}  // namespace

Result<DetachKeys> DetachKeys::parse(std::string_view text) {
  DetachKeys keys;
  if (text.empty()) return keys;
  for (auto key : split(text, ',')) {
    auto byte = byte_of(key);
    if (!byte)
      return fail("use", "'" + printable(text) + "' as keys to detach",
                  "'" + printable(key) +
                      "' is neither a character nor ctrl- with a letter or one "
                      "of @[\\]^_",
                  "", ErrorKind::kInvalid);
    keys.keys_ += *byte;
  }
  return keys;
}

DetachKeys::Typed DetachKeys::read(std::string_view bytes) {
  if (keys_.empty()) return {.input = std::string(bytes)};
  Typed typed;
  for (char byte : bytes) {
    std::string held = keys_.substr(0, matched_) + byte;
    // What is no beginning of the keys is the command's, from its first byte on.
    while (!held.empty() && !keys_.starts_with(held)) {
      typed.input += held.front();
      held.erase(0, 1);
    }
    matched_ = held.size();
    if (matched_ < keys_.size()) continue;
    matched_ = 0;
    typed.detach = true;
    break;
  }
  return typed;
}

}  // namespace capsem::client
