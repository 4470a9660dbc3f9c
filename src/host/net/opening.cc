#include "host/net/opening.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "async/limit.h"
#include "base/fd.h"
#include "host/net/http_head.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kPieceBytes = 4096;
constexpr std::size_t kLongestMethod = 24;
constexpr std::size_t kLongestRequestLine = 16 << 10;  // beyond, it is not looked at further
constexpr std::string_view kVersion = "HTTP/1.1";
constexpr std::string_view kBlank = " \t";

// A guess from the first bytes: nothing while it takes more of them to tell.
using Guess = std::optional<bool> (*)(std::string_view text);

// RFC 9110, section 9.1: methods are upper case by convention. A protocol whose words are not is
// known by its first letter.
std::string_view method_of(std::string_view text) {
  auto end = std::ranges::find_if_not(
      text, [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

// On the web's ports, where nothing else is to be expected.
std::optional<bool> begins_like_http(std::string_view text) {
  const auto length = method_of(text).size();
  if (length > kLongestMethod) return false;
  if (length == text.size()) return std::nullopt;
  return text[length] == ' ' && length > 0;
}

// Whether `text` is a version, or how one begins. A later one says so with its digits.
bool begins_version(std::string_view text) {
  return text.size() <= kVersion.size() &&
         std::ranges::equal(text, kVersion.substr(0, text.size()), [](char c, char of_version) {
           bool digit = of_version == '1';
           return digit ? c >= '0' && c <= '9' : c == of_version;
         });
}

// A method, a target and the version (RFC 9112, section 3), with what servers overlook. Other
// protocols have lines that begin with a word in capital letters too.
std::optional<bool> has_request_line(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of("\r\n"), text.size()));
  if (text.empty()) return false;  // a client that says no more waits for its server
  const auto newline = text.find('\n');
  auto line = text.substr(0, newline);
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<std::string_view> words;
  for (auto rest = line; words.size() <= 3 && !rest.empty();) {
    words.push_back(rest.substr(0, rest.find_first_of(kBlank)));
    rest.remove_prefix(words.back().size());
    rest.remove_prefix(std::min(rest.find_first_not_of(kBlank), rest.size()));
  }
  bool begins = words.empty() || (method_of(words[0]) == words[0] && !words[0].empty() &&
                                  words[0].size() <= kLongestMethod);
  bool possible = begins && words.size() <= 3 && (words.size() < 3 || begins_version(words[2])) &&
                  std::ranges::none_of(line, is_control);
  if (!possible) return false;
  if (line.size() > kLongestRequestLine) return true;  // for who reads requests to refuse
  if (newline == text.npos) return std::nullopt;
  return words.size() == 3 && words[2].size() == kVersion.size();
}

class Reader {
 public:
  Reader(async::Stream& guest, Guess is_http) : guest_(guest), is_http_(is_http) {}

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
    failure_.reset();
    if (!size) failure_ = size.error();
    if (!ended_) take(std::span(piece).first(*size));
  }

  bool has_begun() const { return !hello_.bytes().empty(); }
  bool has_ended() const { return ended_ && !kind_ && !has_begun(); }
  const std::optional<Error>& failure() const { return failure_; }

  Opening take_opening() {
    Opening opening;
    opening.ended = ended_ && !failure_;
    auto bytes = hello_.bytes();
    opening.bytes.assign(bytes.begin(), bytes.end());
    opening.bytes.insert(opening.bytes.end(), rest_.begin(), rest_.end());
    // What may still become a request is taken for one: its rest must not go by unseen.
    auto partly = ended_ ? Opening::Kind::kOther : Opening::Kind::kHttp;
    if (opening.bytes.empty()) partly = Opening::Kind::kNothing;
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
    if (auto http = is_http_(text)) kind_ = *http ? Opening::Kind::kHttp : Opening::Kind::kOther;
  }

  async::Stream& guest_;
  Guess is_http_;
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
  const bool web = is_web_port(port);
  Reader reader(guest, web ? begins_like_http : has_request_line);
  auto first = web ? limits.client_first : limits.server_first;
  bool known = (co_await async::with_limit(first, reader.read())).has_value();
  // It speaks first, but slowly.
  if (!known && reader.has_begun()) co_await async::with_limit(limits.client_first, reader.read());
  // Elsewhere a client may only want to hear what its server says.
  if (known && reader.has_ended() && (web || reader.failure()))
    co_return fail("read from", "a connection of the guest", "it ended", "", ErrorKind::kClosed);
  co_return reader.take_opening();
}

Task<Result<Opening>> read_late_opening(async::Stream& guest, OpeningLimits limits) {
  Reader reader(guest, has_request_line);
  co_await reader.read_piece();
  if (reader.failure()) co_return std::unexpected(*reader.failure());
  if (!reader.has_ended()) co_await async::with_limit(limits.client_first, reader.read());
  co_return reader.take_opening();
}

}  // namespace capsem::host::net
