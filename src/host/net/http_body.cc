#include "host/net/http_body.h"

#include <boost/asio/buffer.hpp>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

namespace capsem::host::net {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;
// A hexadecimal size and the ends of two lines.
constexpr std::size_t kChunkOverhead = 24;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

void add_chunk(std::string& to, std::string_view piece) {
  char size[16];
  auto end = std::to_chars(std::begin(size), std::end(size), piece.size(), 16).ptr;
  to.append(size, end).append("\r\n").append(piece).append("\r\n");
}

std::unexpected<Error> malformed(const std::string& reason) {
  return fail("read", "the body of an HTTP message", reason, "", ErrorKind::kInvalid);
}

// What goes on in place of a piece, or nothing when the body must not.
template <bool kRequest>
std::optional<std::string_view> filtered(std::string_view piece, BodyWay& way) {
  if (way.filter == nullptr) return piece;
  if constexpr (!kRequest) return way.filter->answer_body(piece);
  auto fault = way.filter->request_body(piece);
  if (!fault) return piece;
  way.fault = std::move(*fault);
  return std::nullopt;
}

std::unexpected<Error> stopped(const BodyWay& way) {
  return fail("pass on", "the body of an HTTP message", way.fault, "", ErrorKind::kPermission);
}

class Sink {
 public:
  Sink(async::Stream* to, BodyWay& way) : to_(to), way_(way) {}

  // Takes a piece; it is written by the next flush(), or now when it need not be copied.
  Task<Result<>> take(std::string_view piece) {
    if (piece.empty()) co_return Result<>();  // as a chunk it would be the last
    way_.bytes += piece.size();
    if (to_ == nullptr) co_return Result<>();
    if (!way_.chunked) co_return co_await write(piece);
    if (chunks_.capacity() < piece.size()) chunks_.reserve(piece.size() + kChunkOverhead);
    add_chunk(chunks_, piece);
    if (chunks_.size() < kPieceBytes) co_return Result<>();
    co_return co_await flush();
  }

  Task<Result<>> flush() {
    if (chunks_.empty()) co_return Result<>();
    auto chunks = std::exchange(chunks_, {});
    co_return co_await write(chunks);
  }

  Task<Result<>> finish(const HttpFields& trailers) {
    if (to_ == nullptr || !way_.chunked) co_return Result<>();
    chunks_ += "0\r\n" + trailers.text() + "\r\n";
    co_return co_await flush();
  }

 private:
  Task<Result<>> write(std::string_view text) {
    auto written = co_await to_->write_all(bytes_of(text));
    way_.write_failed = !written;
    co_return written;
  }

  async::Stream* to_;
  BodyWay& way_;
  std::string chunks_;
};

}  // namespace

template <bool kRequest>
Task<Result<>> relay_body(HttpInput& from, HttpParser<kRequest>& parser, async::Stream* to,
                          BodyWay& way) {
  Sink sink(to, way);
  bool hungry = false;
  while (!parser.is_done()) {
    boost::beast::error_code error;
    if (hungry || from.data().empty()) {
      auto flushed = co_await sink.flush();
      if (!flushed) co_return flushed;
      auto more = co_await from.fill();
      if (!more) co_return propagate(more);
      if (!*more) {
        parser.put_eof(error);
        if (error)
          co_return fail("read", "the body of an HTTP message", "it was cut off", "",
                         ErrorKind::kClosed);
        break;
      }
    }
    const auto data = from.data();
    parser.piece = {};
    const auto used = parser.put(boost::asio::buffer(data.data(), data.size()), error);
    hungry = error == boost::beast::http::error::need_more;
    if (error && !hungry) co_return malformed(error.message());
    if (!parser.piece.empty()) {
      auto piece = filtered<kRequest>(parser.piece, way);
      if (!piece) co_return stopped(way);
      auto taken = co_await sink.take(*piece);
      if (!taken) co_return taken;
    }
    from.consume(used);
  }
  auto trailers = plain_trailers(parser.trailers);
  if (kRequest && way.filter != nullptr) {
    way.fault = way.filter->request_trailers(trailers).value_or("");
    if (!way.fault.empty()) co_return stopped(way);
  }
  if (!kRequest && way.filter != nullptr) {
    way.filter->answer_trailers(trailers);
    auto taken = co_await sink.take(way.filter->answer_end());
    if (!taken) co_return taken;
  }
  auto finished = co_await sink.finish(trailers);
  co_return finished;
}

template Task<Result<>> relay_body(HttpInput&, HttpParser<true>&, async::Stream*, BodyWay&);
template Task<Result<>> relay_body(HttpInput&, HttpParser<false>&, async::Stream*, BodyWay&);

}  // namespace capsem::host::net
