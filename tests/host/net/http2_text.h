// Frames of HTTP/2 written by hand (RFC 9113, 4.1 and 6; RFC 7541), for what nghttp2 would not
// send.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capsem::host::net::testing {

inline std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes));
  return text;
}

inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload = {}) {
  std::string text = big_endian(payload.size(), 3);
  text += static_cast<char>(type);
  text += static_cast<char>(flags);
  return text + big_endian(stream, 4) + std::string(payload);
}

// Without indexing, the name and value as they are.
inline std::string field(std::string_view name, std::string_view value) {
  auto string = [](std::string_view text) {
    constexpr std::size_t kPrefix = 127;
    std::string size(1, static_cast<char>(std::min(text.size(), kPrefix)));
    if (text.size() >= kPrefix) {
      auto rest = text.size() - kPrefix;
      for (; rest >= 128; rest /= 128) size += static_cast<char>(rest % 128 + 128);
      size += static_cast<char>(rest);
    }
    return size + std::string(text);
  };
  return std::string(1, '\0') + string(name) + string(value);
}

// ":method: GET", ":scheme: https" and ":path: /" of the static table, and the rest.
inline const std::string kHeadBlock = "\x82\x87\x84" + field(":authority", "a.example");

inline const std::string kSettings = frame(NGHTTP2_SETTINGS, 0, 0);
inline const std::string kSettingsAck = frame(NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0);
inline const std::string kPreface = NGHTTP2_CLIENT_MAGIC + kSettings;
inline constexpr std::uint8_t kWhole = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM;

inline std::string head(std::uint32_t stream, std::uint8_t flags = kWhole,
                        const std::string& block = kHeadBlock) {
  return frame(NGHTTP2_HEADERS, flags, stream, block);
}

struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

// The frames of `text` that are whole.
inline std::vector<Frame> frames_of(std::string_view text) {
  constexpr std::size_t kHead = 9;
  auto number = [&text](std::size_t at, int bytes) {
    std::uint32_t value = 0;
    while (bytes-- > 0) value = value << 8 | static_cast<std::uint8_t>(text[at++]);
    return value;
  };
  std::vector<Frame> frames;
  while (text.size() >= kHead) {
    const auto size = number(0, 3);
    if (text.size() < kHead + size) break;
    frames.push_back({static_cast<std::uint8_t>(text[3]), static_cast<std::uint8_t>(text[4]),
                      number(5, 4), std::string(text.substr(kHead, size))});
    text.remove_prefix(kHead + size);
  }
  return frames;
}

// The error of the last GOAWAY; -1 when there is none.
inline int goaway_error(const std::vector<Frame>& frames) {
  int error = -1;
  for (const auto& each : frames)
    if (each.type == NGHTTP2_GOAWAY && each.payload.size() >= 8)
      error = static_cast<std::uint8_t>(each.payload[7]);
  return error;
}

}  // namespace capsem::host::net::testing
