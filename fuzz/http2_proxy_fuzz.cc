// A client and a server that say anything to the HTTP/2 proxy between them, in pieces: what reaches
// the server is requests that were allowed, read once more by nghttp2, and all ends when both have.
#include <nghttp2/nghttp2.h>

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
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "async/stream.h"
#include "host/net/http2_proxy.h"
#include "host/net/http_head.h"
#include "host/net/http_target.h"

namespace {

using namespace capsem;             // NOLINT(google-build-using-namespace): this file is all fuzz
using namespace capsem::host::net;  // NOLINT(google-build-using-namespace)
namespace asio = boost::asio;

constexpr std::chrono::seconds kLimit{10};
constexpr const char* kHost = "a.example";
constexpr std::size_t kMostBytes = 64 << 20;
// Turns of the loop, so that the server answers what it was asked, and the client is still there
// for it.
constexpr int kServerWaits = 60;
constexpr int kClientWaits = 150;
// An empty SETTINGS frame.
constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);
// SETTINGS_ENABLE_CONNECT_PROTOCOL is 1.
constexpr std::string_view kWebSockets("\0\0\6\4\0\0\0\0\0\0\x8\0\0\0\1", 15);

void broken(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Reads what it was given in pieces, and keeps what is written. Waits some turns of the loop behind
// its first words, and before its end.
class MemoryStream final : public async::Stream {
 public:
  MemoryStream(std::string script, std::size_t first_words, std::size_t piece, int waits_first,
               int waits_last, std::string& written)
      : script_(std::move(script)),
        first_words_(first_words),
        piece_(piece),
        waits_first_(waits_first),
        waits_last_(waits_last),
        written_(written) {}

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    int waits = 0;
    if (read_ == first_words_) waits = waits_first_;
    if (read_ == script_.size()) waits = waits_last_;
    for (; !reset_ && waits >= 0; --waits) co_await asio::post(asio::use_awaitable);
    if (reset_) co_return fail("read", "it", "it was reset", "", ErrorKind::kClosed);
    const auto end = read_ < first_words_ ? first_words_ : script_.size();
    const auto size = std::min({buffer.size(), piece_, end - read_});
    std::copy_n(script_.data() + read_, size, reinterpret_cast<char*>(buffer.data()));
    read_ += size;
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
  std::string script_;
  std::size_t first_words_;
  std::size_t piece_;
  std::size_t read_ = 0;
  int waits_first_;
  int waits_last_;
  std::string& written_;
  bool shut_ = false;
  bool reset_ = false;
};

using Head = std::multimap<std::string, std::string>;

int keep_field(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
               const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
               std::size_t value_size, std::uint8_t /*flags*/, void* user) {
  static_cast<Head*>(user)->emplace(std::string(reinterpret_cast<const char*>(name), name_size),
                                    std::string(reinterpret_cast<const char*>(value), value_size));
  return 0;
}

std::string the_one(const Head& head, const std::string& name) {
  if (head.count(name) != 1) broken("a request has not one of a pseudo-header field");
  return head.find(name)->second;
}

void check_request(const Head& head) {
  auto authority = parse_authority(the_one(head, ":authority"));
  if (!authority || authority->host != kHost) broken("a request is for another host");
  if (the_one(head, ":scheme") != "https") broken("a request has another scheme");
  const auto method = the_one(head, ":method");
  if (method == "CONNECT" && head.count(":protocol") != 1) broken("a request is a tunnel");
  auto target = parse_target(method, the_one(head, ":path"));
  if (!target || target->authority) broken("a target is no path");
  if (target->judged.starts_with("/no")) broken("a request was denied");
  if (head.contains("host") || head.contains("connection") || head.contains("transfer-encoding"))
    broken("a request has a field of HTTP/1.1");
  for (const auto& [name, value] : head)
    if (std::ranges::any_of(value, is_control)) broken("a value has control characters");
}

int end_frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  auto& head = *static_cast<Head*>(user);
  if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) check_request(head);
  head.clear();
  return 0;
}

// What the server got, read once more: each request is one that the judge let through.
void check_asked(const std::string& text) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, keep_field);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, end_frame);
  nghttp2_session* session = nullptr;
  Head head;
  nghttp2_session_server_new(&session, callbacks, &head);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry websockets{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &websockets, 1);
  const auto read = nghttp2_session_mem_recv(
      session, reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  if (read < 0) broken("what the server gets is malformed");
  nghttp2_session_del(session);
}

// What the client got: frames, and none that leads elsewhere.
void check_heard(std::string_view text) {
  constexpr std::size_t kFrameHead = 9;
  while (text.size() >= kFrameHead) {
    auto byte = [&text](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
    const std::size_t size = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
    if (byte(3) > NGHTTP2_CONTINUATION || byte(3) == NGHTTP2_PUSH_PROMISE)
      broken("the client gets a frame that it must not");
    text.remove_prefix(std::min(text.size(), kFrameHead + size));
  }
}

Task<Judgement> judge(const PlainRequest& request) {
  const auto& host = request.authority.host;
  const auto& path = request.target.judged;
  if (path.starts_with("/slow")) co_await asio::post(asio::use_awaitable);
  if (host != kHost || path.starts_with("/no"))
    co_return Judgement{{Verdict::kDeny, "no"}, "denied by no"};
  Judgement allowed{{Verdict::kPass, "yes"}, ""};
  allowed.under_way = std::make_shared<RequestUnderWay>();
  if (path.starts_with("/slow")) {
    const Secret secret{.name = "K", .field = "x-key", .prefix = {}, .user = {}, .source = {}};
    allowed.filter =
        ExchangeFilter::create({.host = host,
                                .path = path,
                                .secrets = {secret},
                                .values = {"secret-value"},
                                .placeholders = std::make_shared<Placeholders>(std::vector{secret}),
                                .refused = [](const std::string&) {}});
  }
  co_return allowed;
}

struct Said {
  std::string text;
  std::size_t first_words = 0;
  int waits = 0;  // behind them
};

void run(Said client, Said server, std::size_t piece) {
  asio::io_context loop{1};
  std::string heard;
  std::string asked;
  bool ended = false;
  MemoryStream guest(std::move(client.text), client.first_words, piece, client.waits, kClientWaits,
                     heard);
  HttpProxyOptions options{.judge = judge};
  options.place = {.secure = true, .host = kHost, .port = 443};
  options.record = [](const RequestRecord&) {};
  options.connect = [&](std::string host) -> Task<Result<std::unique_ptr<async::Stream>>> {
    if (host != kHost) broken("it connects to another host");
    co_return std::make_unique<MemoryStream>(std::move(server.text), server.first_words, piece,
                                             server.waits, kServerWaits, asked);
  };
  asio::co_spawn(loop, proxy_http2(guest, std::move(options)),
                 [&](const std::exception_ptr& thrown) {
                   if (thrown) std::rethrow_exception(thrown);
                   ended = true;
                 });
  loop.run_for(kLimit);
  if (!ended) broken("it goes on after the end of both sides");
  check_heard(heard);
  check_asked(asked);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kBegin = 4;
  if (size < kBegin) return 0;
  constexpr std::size_t kLargestPiece = 4096;
  const std::size_t piece = 1 + data[0] * kLargestPiece / 256;
  const std::string_view text(reinterpret_cast<const char*>(data + kBegin), size - kBegin);
  const std::size_t client_size =
      std::min(std::size_t{data[2]} << 8 | std::size_t{data[3]}, text.size());
  Said client{.text = std::string(text.substr(0, client_size))};
  Said server{.text = std::string(text.substr(client_size)), .waits = kServerWaits};
  // Most say what every client and server says first.
  if ((data[1] & 1) == 0) {
    const std::string first = NGHTTP2_CLIENT_MAGIC + std::string(kSettings);
    client = {.text = first + client.text, .first_words = first.size()};
  }
  if ((data[1] & 2) == 0) {
    const auto first = (data[1] & 8) != 0 ? kWebSockets : kSettings;
    server.text.insert(0, first);
    server.first_words = first.size();
  }
  // A client that hears the server's words before it asks.
  if ((data[1] & 4) != 0) client.waits = kServerWaits / 2;
  run(std::move(client), std::move(server), piece);
  return 0;
}
