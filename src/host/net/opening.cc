#include "host/net/opening.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "async/limit.h"
#include "base/fd.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kPieceBytes = 4096;
constexpr std::size_t kLongestMethod = 24;

// RFC 9110, section 9.1: methods are upper case by convention, and followed by a space. Nothing
// while it takes more bytes to tell.
std::optional<bool> is_http(std::string_view text) {
  auto end = std::ranges::find_if_not(text, [](char c) { return c >= 'A' && c <= 'Z'; });
  auto length = static_cast<std::size_t>(end - text.begin());
  if (length > kLongestMethod) return false;
  if (end == text.end()) return std::nullopt;
  return *end == ' ' && length > 0;
}

class Reader {
 public:
  explicit Reader(async::Stream& guest) : guest_(guest) {}

  // Until it is known what the connection is. The result is kept here, since a wait for it may be
  // cut short.
  Task<bool> read() {
    ended_ = false;  // as a wait that was cut short looks like an end
    while (!kind_ && !ended_) co_await read_piece();
    co_return true;
  }

  Task<> read_piece() {
    std::array<std::byte, kPieceBytes> piece;
    auto size = co_await guest_.read_some(piece);
    ended_ = !size || *size == 0;
    if (!size) failure_ = std::move(size).error();
    if (!ended_) take(std::span(piece).first(*size));
  }

  bool has_begun() const { return !hello_.bytes().empty(); }
  bool has_ended() const { return ended_ && !kind_ && !has_begun(); }
  const std::optional<Error>& failure() const { return failure_; }

  Opening take_opening() {
    Opening opening;
    auto bytes = hello_.bytes();
    opening.bytes.assign(bytes.begin(), bytes.end());
    opening.bytes.insert(opening.bytes.end(), rest_.begin(), rest_.end());
    auto partly = opening.bytes.empty() ? Opening::Kind::kNothing : Opening::Kind::kOther;
    opening.kind = kind_.value_or(partly);
    // Half of a hello is no other protocol.
    bool cut =
        !kind_ && !hello_.bytes().empty() && hello_.state() == HelloReader::State::kIncomplete;
    if (cut) {
      opening.kind = Opening::Kind::kMalformedTls;
      opening.reason = "it did not come whole";
      return opening;
    }
    if (opening.kind == Opening::Kind::kTls) opening.hello = hello_.hello();
    if (opening.kind == Opening::Kind::kMalformedTls) opening.reason = std::string(hello_.reason());
    return opening;
  }

 private:
  void take(std::span<const std::byte> bytes) {
    if (hello_.state() == HelloReader::State::kNotTls)
      rest_.insert(rest_.end(), bytes.begin(), bytes.end());
    else
      hello_.feed(bytes);
    switch (hello_.state()) {
      case HelloReader::State::kComplete:
        kind_ = Opening::Kind::kTls;
        return;
      case HelloReader::State::kMalformed:
        kind_ = Opening::Kind::kMalformedTls;
        return;
      case HelloReader::State::kIncomplete:
        return;
      case HelloReader::State::kNotTls:
        break;
    }
    auto text = std::string(as_text(hello_.bytes()));
    text += as_text(rest_);
    if (auto http = is_http(text)) kind_ = *http ? Opening::Kind::kHttp : Opening::Kind::kOther;
  }

  async::Stream& guest_;
  HelloReader hello_;
  std::vector<std::byte> rest_;  // behind what the reader of hellos took
  std::optional<Opening::Kind> kind_;
  bool ended_ = false;
  std::optional<Error> failure_;
};

}  // namespace

bool is_web_port(std::uint16_t port) {
  constexpr std::uint16_t kHttp = 80;
  constexpr std::uint16_t kHttps = 443;
  return port == kHttp || port == kHttps;
}

Task<Result<Opening>> read_opening(async::Stream& guest, std::uint16_t port, OpeningLimits limits) {
  Reader reader(guest);
  auto first = is_web_port(port) ? limits.client_first : limits.server_first;
  bool known = (co_await async::with_limit(first, reader.read())).has_value();
  // It speaks first, but slowly.
  if (!known && reader.has_begun()) co_await async::with_limit(limits.client_first, reader.read());
  if (known && reader.has_ended())
    co_return fail("read from", "a connection of the guest", "it ended", "", ErrorKind::kClosed);
  co_return reader.take_opening();
}

Task<Result<Opening>> read_late_opening(async::Stream& guest, OpeningLimits limits) {
  Reader reader(guest);
  co_await reader.read_piece();
  if (reader.failure()) co_return std::unexpected(*reader.failure());
  if (!reader.has_ended()) co_await async::with_limit(limits.client_first, reader.read());
  co_return reader.take_opening();
}

}  // namespace capsem::host::net
