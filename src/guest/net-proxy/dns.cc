#include "guest/net-proxy/dns.h"

#include <cstdint>

namespace capsem::guest::net_proxy {
namespace {

// RFC 1035, section 4.1.1: id, flags, then the counts of four sections, two bytes each.
constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kFlags = 2;
constexpr std::size_t kQuestions = 4;

// The first byte of the flags: QR, OPCODE (four bits), AA, TC, RD.
constexpr std::uint8_t kResponse = 0x80;
constexpr std::uint8_t kOpcode = 0x78;
constexpr std::uint8_t kRecursionDesired = 0x01;
constexpr std::uint8_t kServerFailure = 2;  // RCODE, in the second byte

constexpr std::size_t kMaxNameBytes = 255;
constexpr std::size_t kMaxLabelBytes = 63;
constexpr std::size_t kTypeAndClassBytes = 4;

std::uint8_t byte_at(std::span<const std::byte> message, std::size_t at) {
  return std::to_integer<std::uint8_t>(message[at]);
}

std::size_t word_at(std::span<const std::byte> message, std::size_t at) {
  return std::size_t{byte_at(message, at)} << 8 | byte_at(message, at + 1);
}

// The length of the name at the start of `text`: labels, each after its length, to the empty one.
// A question's name has nothing before it that a compression pointer could refer to.
std::optional<std::size_t> name_bytes(std::span<const std::byte> text) {
  std::size_t at = 0;
  while (at < text.size() && at < kMaxNameBytes) {
    std::size_t label = byte_at(text, at);
    if (label > kMaxLabelBytes) return std::nullopt;
    at += 1 + label;
    if (label == 0) return at;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<std::byte>> server_failure(std::span<const std::byte> query) {
  if (query.size() < kHeaderBytes) return std::nullopt;
  auto flags = byte_at(query, kFlags);
  if ((flags & (kResponse | kOpcode)) != 0 || word_at(query, kQuestions) != 1) return std::nullopt;
  auto name = name_bytes(query.subspan(kHeaderBytes));
  if (!name) return std::nullopt;
  auto size = kHeaderBytes + *name + kTypeAndClassBytes;
  if (query.size() < size) return std::nullopt;

  std::vector<std::byte> answer(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(size));
  answer[kFlags] = std::byte(kResponse | (flags & kRecursionDesired));
  answer[kFlags + 1] = std::byte{kServerFailure};
  // Records that followed the question (EDNS) are not repeated, so their counts are 0.
  for (auto at = kQuestions + 2; at < kHeaderBytes; ++at) answer[at] = std::byte{0};
  return answer;
}

}  // namespace capsem::guest::net_proxy
