// A client and a server that say anything to the proxy between them, in pieces: what reaches the
// server is requests that were allowed, in one reading only, and all ends when both have.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "async/stream.h"
#include "host/net/http1_proxy.h"
#include "host/net/http_parser.h"
#include "host/net/http_target.h"

namespace {

using namespace capsem;             // NOLINT(google-build-using-namespace): this file is all fuzz
using namespace capsem::host::net;  // NOLINT(google-build-using-namespace)
namespace asio = boost::asio;

constexpr std::chrono::seconds kLimit{10};
constexpr const char* kHost = "a.example";
// More than all that a run may bring out of one that sends itself.
constexpr std::size_t kMostBytes = 64 << 20;

void broken(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Reads what it was given in pieces, and keeps what is written.
class MemoryStream final : public async::Stream {
 public:
  MemoryStream(std::string_view script, std::size_t piece, std::string& written)
      : script_(script), piece_(piece), written_(written) {}

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    co_await asio::post(asio::use_awaitable);
    if (reset_) co_return fail("read", "it", "it was reset", "", ErrorKind::kClosed);
    const auto size = std::min({buffer.size(), piece_, script_.size()});
    std::copy_n(script_.data(), size, reinterpret_cast<char*>(buffer.data()));
    script_.remove_prefix(size);
    co_return size;
  }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    co_await asio::post(asio::use_awaitable);
    if (reset_ || shut_) co_return fail("write", "it", "it has ended", "", ErrorKind::kClosed);
    written_.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (written_.size() > kMostBytes) broken("it writes without an end");
    co_return Result<>();
  }
  void shutdown_write() override { shut_ = true; }
  void reset() override { reset_ = true; }

 private:
  std::string_view script_;
  std::size_t piece_;
  std::string& written_;
  bool shut_ = false;
  bool reset_ = false;
};

// What the server got, read once more: each request is one that the judge let through.
void check_requests(std::string_view text) {
  while (!text.empty()) {
    HttpParser<true> parser;
    parser.eager(true);
    boost::beast::error_code error;
    const auto size = parser.put(asio::buffer(text.data(), text.size()), error);
    if (error && error != boost::beast::http::error::need_more) broken("a request is malformed");
    if (!parser.is_header_done()) return;  // the end of a connection that was cut
    const auto& fields = parser.head.fields;
    if (fields.count("Host") != 1) broken("a request has not one Host");
    auto authority = parse_authority(*fields.find("Host"));
    if (!authority || authority->host != kHost) broken("a request is for another host");
    auto target = parse_target(parser.head.method, parser.head.target);
    if (!target || target->authority) broken("a target is no path");
    if (target->judged.starts_with("/no")) broken("a request was denied");
    if (fields.count("Content-Length") + fields.count("Transfer-Encoding") > 1)
      broken("a request says twice how long it is");
    if (fields.count("Upgrade") > 0) return;  // what follows may be a WebSocket's
    if (!parser.is_done()) return;
    text.remove_prefix(size);
  }
}

Task<Judgement> judge(const PlainRequest& request) {
  if (request.authority.host != kHost || request.target.judged.starts_with("/no"))
    co_return Judgement{{Verdict::kDeny, "no"}, "denied by no"};
  co_return Judgement{{Verdict::kPass, "yes"}, ""};
}

void run(std::string_view client, std::string_view server, std::size_t piece, bool secure) {
  asio::io_context loop{1};
  std::string heard;
  std::string asked;
  std::size_t records = 0;
  bool ended = false;
  MemoryStream guest(client, piece, heard);
  HttpProxyOptions options{.judge = judge};
  options.place = {.secure = secure, .host = secure ? kHost : "", .port = 80};
  options.record = [&](const RequestRecord&) { ++records; };
  options.connect = [&](std::string host) -> Task<Result<std::unique_ptr<async::Stream>>> {
    if (host != kHost) broken("it connects to another host");
    co_return std::make_unique<MemoryStream>(server, piece, asked);
  };
  asio::co_spawn(loop, proxy_http1(guest, {}, std::move(options)),
                 [&](const std::exception_ptr& thrown) {
                   if (thrown) std::rethrow_exception(thrown);
                   ended = true;
                 });
  loop.run_for(kLimit);
  if (!ended) broken("it goes on after the end of both sides");
  if (!heard.empty() && !heard.starts_with("HTTP/1.1 ")) broken("an answer is none");
  if (!heard.empty() && records == 0) broken("an answer was not recorded");
  check_requests(asked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  constexpr std::size_t kLargestPiece = 4096;
  const std::size_t piece = 1 + data[0] * kLargestPiece / 256;
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  // The client's part is up to the first 0xff, which no head may have.
  const auto end = std::min(text.find('\xff'), text.size());
  const auto server = text.substr(std::min(end + 1, text.size()));
  run(text.substr(0, end), server, piece, (data[1] & 1) != 0);
  return 0;
}
