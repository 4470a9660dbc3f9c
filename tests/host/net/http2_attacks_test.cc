// Clients and servers of HTTP/2 that want more than they may: none gets a request out that was not
// judged, nor costs more than a bounded part of the host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/host/net/http2_scene.h"
#include "tests/host/net/http2_text.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::milliseconds;
using std::chrono::seconds;

// ---- requests that do not get out

struct Request {
  const char* name;
  Fields fields;
  const char* status;  // empty: the stream is reset
};

Fields request(const std::string& method, const std::string& scheme, const std::string& authority,
               const std::string& path, Fields more = {}) {
  Fields fields{{":method", method}, {":scheme", scheme}};
  if (!authority.empty()) fields.emplace_back(":authority", authority);
  fields.emplace_back(":path", path);
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

Fields to(const std::string& authority, Fields more = {}) {
  return request("GET", "https", authority, "/", std::move(more));
}
Fields at(const std::string& path) {
  return request("GET", "https", "a.example", path);
}
Fields with(const std::string& name, const std::string& value) {
  return to("a.example", {{name, value}});
}

const std::vector<Request>& requests() {
  static const std::vector<Request> rows = {
      {"coalescing", to("b.example"), "421"},
      {"another port", to("a.example:8443"), "421"},
      {"user information", to("u@a.example"), "400"},
      {"short address", to("127.1"), "400"},
      {"two authorities in one", to("a.example,b.example"), "400"},
      {"newline in the authority", to("a.example\r\nx: y"), ""},
      {"another Host", to("a.example", {{"host", "b.example"}}), "400"},
      {"two Hosts", to("a.example", {{"host", "a.example"}, {"host", "a.example"}}), ""},
      {"Host alone, of another", to("", {{"host", "b.example"}}), "421"},
      {"no host", to(""), ""},
      {"scheme", request("GET", "http", "a.example", "/"), "421"},
      {"method", request("GET / HTTP/1.1\r\nHost: b.example\r\n\r\nGET", "https", "a.example", "/"),
       ""},
      {"TRACE", request("TRACE", "https", "a.example", "/"), "405"},
      {"CONNECT", {{":method", "CONNECT"}, {":authority", "a.example:443"}}, "405"},
      {"CONNECT to another", {{":method", "CONNECT"}, {":authority", "b.example:443"}}, "405"},
      {"path with a space", at("/a HTTP/1.1"), ""},
      {"path with a newline", at("/a\r\nx: y"), ""},
      {"path with a control character", at("/a\x01"), ""},
      {"path that is a URL", at("https://b.example/"), ""},
      {"path without a slash", at("a"), ""},
      {"asterisk", at("*"), ""},
      {"no path", at(""), ""},
      {"two paths", request("GET", "https", "a.example", "/", {{":path", "/no"}}), ""},
      {"newline in a value", with("x", "y\r\nx-evil: 1"), "400"},
      {"bare newline in a value", with("x", "y\nx-evil: 1"), "400"},
      {"NUL in a value", with("x", std::string("y\0z", 3)), "400"},
      {"newline in a name", with("x: y\r\nx-evil", "1"), "400"},
      {"colon in a name", with("x:y", "1"), "400"},
      {"empty name", with("", "1"), "400"},
      {"Connection", with("connection", "close"), ""},
      {"Transfer-Encoding", with("transfer-encoding", "chunked"), ""},
      {"Upgrade", with("upgrade", "h2c"), ""},
      {"TE", with("te", "gzip"), ""},
      {"unknown pseudo-header field", with(":x", "1"), ""},
      {"lengths", to("a.example", {{"content-length", "0"}, {"content-length", "5"}}), ""},
      {"expectation", with("expect", "more"), "417"},
      {"large head", with("x", std::string(33'000, 'x')), "431"},
      {"long path", at("/" + std::string(17'000, 'x')), "414"},
      {"protocol that was not allowed",
       request("CONNECT", "https", "a.example", "/", {{":protocol", "websocket"}}), ""},
  };
  return rows;
}

TEST(Http2Attacks, NoSuchRequestGetsOutAndTheConnectionGoesOn) {
  for (const auto& row : requests()) {
    SCOPED_TRACE(row.name);
    Http2Scene scene;
    auto& message = scene.ask(row.fields);
    EXPECT_EQ(message.status(), row.status);
    EXPECT_NE(message.error == 0, *row.status == '\0');
    scene.settle(milliseconds(5));
    EXPECT_TRUE(scene.server->requests.empty());
    EXPECT_EQ(scene.ask(scene.get("/")).status(), "200");
    EXPECT_EQ(scene.server->requests.size(), 1U);
  }
}

TEST(Http2Attacks, TheHostFieldAloneIsWhomARequestIsFor) {
  Http2Scene scene;
  EXPECT_EQ(scene.ask(to("", {{"host", "A.example."}})).status(), "200");
  EXPECT_EQ(value_of(scene.server->streams[1].heads[0], ":authority"), "a.example");
  EXPECT_EQ(value_of(scene.server->streams[1].heads[0], "host"), "(none)");
}

TEST(Http2Attacks, ABodyIsAsLongAsItsHeadSays) {
  Http2Scene scene;
  scene.answers = false;
  const auto stream =
      scene.client->request(scene.of("POST", "/", {{"content-length", "5"}}), "abc");
  scene.until([&] { return scene.client->streams[stream].closed; });
  EXPECT_NE(scene.client->streams[stream].error, 0U);
  scene.settle();
  if (!scene.server->requests.empty()) {
    EXPECT_FALSE(scene.server->streams[1].ended);
  }
}

TEST(Http2Attacks, MoreFieldsThanMayAreTooMany) {
  Http2Scene scene;
  Fields fields = scene.get("/");
  for (int i = 0; i < 300; ++i) fields.emplace_back("x", "y");
  EXPECT_EQ(scene.ask(fields).status(), "431");
  EXPECT_EQ(scene.ask(scene.get("/")).status(), "200");
}

// ---- floods by a client

// All that comes back to a client that says `text` and then listens.
std::vector<Frame> say(Http2Scene& scene, const std::string& text) {
  std::string heard;
  auto speak = [](async::Stream& to, std::string said) -> Task<> {
    for (std::size_t at = 0; at < said.size(); at += 16'000)
      if (!co_await write(to, said.substr(at, 16'000))) co_return;
  };
  auto listen = [](async::Stream& from, std::string& all) -> Task<> {
    all = co_await read_to_end(from);
  };
  scene.loop.spawn(speak(*scene.client_stream, text));
  scene.loop.spawn(listen(*scene.client_stream, heard));
  scene.until([&] { return scene.ended; });
  scene.client_stream->reset();
  scene.settle(milliseconds(5));
  return frames_of(heard);
}

std::string times(std::size_t count, const std::string& text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

template <class Make>
std::string streams(std::size_t count, Make make) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += make(static_cast<std::uint32_t>(2 * i + 1));
  return all;
}

struct Flood {
  const char* name;
  std::string text;
  int error = NGHTTP2_ENHANCE_YOUR_CALM;
  std::size_t most_requests = 1;  // that the server sees
};

std::vector<Flood> floods() {
  constexpr std::uint8_t kOpen = NGHTTP2_FLAG_END_HEADERS;
  const std::string post = head(1, kOpen);
  const std::string large(16'000, '\x82');
  // An entry of 4,000 bytes in the dynamic table, and then its number.
  const std::string entry = "\x40" + field("x", std::string(3'900, 'y')).substr(1);
  return {
      {"SETTINGS", times(20'000, kSettings)},
      {"SETTINGS with values",
       times(5'000, frame(NGHTTP2_SETTINGS, 0, 0, times(10, std::string("\0\4\0\0\xff\xff", 6))))},
      {"SETTINGS acknowledged", times(5'000, kSettingsAck), NGHTTP2_PROTOCOL_ERROR},
      {"PING", times(20'000, frame(NGHTTP2_PING, 0, 0, "12345678"))},
      {"PING acknowledged", times(5'000, frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678"))},
      {"WINDOW_UPDATE", times(5'000, frame(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(1, 4)))},
      {"PRIORITY", streams(5'000,
                           [](auto stream) {
                             return frame(NGHTTP2_PRIORITY, 0, stream,
                                          std::string("\0\0\0\0\1", 5));
                           })},
      {"unknown frames", times(5'000, frame(0x42, 0, 0, "x"))},
      {"PRIORITY_UPDATE", times(5'000, frame(0x10, 0, 0, big_endian(1, 4) + "u=1"))},
      {"empty DATA", post + times(5'000, frame(NGHTTP2_DATA, 0, 1))},
      {"empty CONTINUATION",
       head(1, NGHTTP2_FLAG_END_STREAM) + times(5'000, frame(NGHTTP2_CONTINUATION, 0, 1)), -2, 0},
      {"CONTINUATION", head(1, 0, "\x82") + times(200, frame(NGHTTP2_CONTINUATION, 0, 1, large)),
       -2, 0},
      {"1,000,000 headers",
       head(1, 0) + times(62, frame(NGHTTP2_CONTINUATION, 0, 1, std::string(16'000, '\xa0'))) +
           frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, std::string(16'000, '\xa0')),
       -2, 0},
      {"compression bomb", head(1, kWhole, kHeadBlock + entry + std::string(12'000, '\xbe')), -2,
       0},
      {"rapid reset",
       streams(2'000,
               [](auto stream) {
                 return head(stream) + frame(NGHTTP2_RST_STREAM, 0, stream, big_endian(8, 4));
               }),
       NGHTTP2_ENHANCE_YOUR_CALM, 300},
      {"reset by us: a window of 0",
       streams(2'000,
               [](auto stream) {
                 return head(stream, kOpen) +
                        frame(NGHTTP2_WINDOW_UPDATE, 0, stream, big_endian(0, 4));
               }),
       -2, 300},
      {"reset by us: malformed heads",
       streams(2'000, [](auto stream) { return head(stream, kWhole, "\x82\x87\x84"); }),
       NGHTTP2_ENHANCE_YOUR_CALM, 0},
      {"window overflow",
       post + times(2, frame(NGHTTP2_WINDOW_UPDATE, 0, 0, big_endian(0x7fffffff, 4))),
       NGHTTP2_FLOW_CONTROL_ERROR},
      {"a frame that is too large", frame(NGHTTP2_DATA, 0, 1, std::string(20'000, 'x')),
       NGHTTP2_FRAME_SIZE_ERROR, 0},
      {"data of no stream", frame(NGHTTP2_DATA, 0, 1, "x"), NGHTTP2_PROTOCOL_ERROR, 0},
      {"a push",
       frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, big_endian(2, 4) + kHeadBlock),
       NGHTTP2_PROTOCOL_ERROR, 0},
      {"a window that overflows by SETTINGS",
       frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\4\xff\xff\xff\xff", 6)),
       NGHTTP2_FLOW_CONTROL_ERROR, 0},
  };
}

TEST(Http2Attacks, AFloodEndsTheConnection) {
  for (const auto& row : floods()) {
    SCOPED_TRACE(row.name);
    // The windows of the server stay shut for bodies.
    Http2Scene scene({.limits = {.idle_time = seconds(3), .linger_time = milliseconds(200)},
                      .http2 = {.stall_time = seconds(3)},
                      .raw_client = true,
                      .server_peer = {.opens_windows = false}});
    scene.answers = false;
    const auto begin = std::chrono::steady_clock::now();
    const auto frames = say(scene, kPreface + row.text);
    const auto error = goaway_error(frames);
    if (row.error >= 0)
      EXPECT_EQ(error, row.error);
    else
      EXPECT_GT(error, 0);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
    EXPECT_LE(scene.server->requests.size(), row.most_requests);
    EXPECT_LT(frames.size(), 3'000U);
  }
}

// What comes back within a while.
std::vector<Frame> say_some(Http2Scene& scene, const std::string& text) {
  std::string heard;
  async::TaskGroup listening(scene.loop.executor());
  auto listen = [](async::Stream& from, std::string& all) -> Task<> {
    std::vector<std::byte> buffer(4096);
    for (;;) {
      auto size = co_await from.read_some(buffer);
      if (!size || *size == 0) co_return;
      all += as_text(std::span(buffer).first(*size));
    }
  };
  auto speak = [](async::Stream& stream, std::string said) -> Task<> {
    EXPECT_TRUE(co_await write(stream, said));
  };
  listening.spawn(listen(*scene.client_stream, heard));
  listening.spawn(speak(*scene.client_stream, text));
  scene.settle(milliseconds(100));
  listening.cancel();
  scene.until([&] { return listening.empty(); });
  return frames_of(heard);
}

std::ptrdiff_t resets_with(const std::vector<Frame>& frames, std::uint32_t error) {
  return std::ranges::count_if(frames, [error](const Frame& each) {
    return each.type == NGHTTP2_RST_STREAM && each.payload == big_endian(error, 4);
  });
}

TEST(Http2Attacks, MoreStreamsThanMayAreRefused) {
  Http2Scene scene({.raw_client = true});
  scene.answers = false;
  const auto many =
      streams(150, [](auto stream) { return head(stream, NGHTTP2_FLAG_END_HEADERS); });
  EXPECT_EQ(resets_with(say_some(scene, kPreface + many), NGHTTP2_REFUSED_STREAM), 50);
  EXPECT_EQ(scene.server->requests.size(), 100U);
  EXPECT_FALSE(scene.ended);
}

TEST(Http2Attacks, LargeHeadsThatWaitAreRefused) {
  Http2Scene scene({.raw_client = true});
  scene.answers = false;
  // 16 KiB each, and none is judged soon.
  const auto block = "\x82\x87" + field(":path", "/slow") + field(":authority", "a.example") +
                     field("x", std::string(16'000, 'x'));
  const auto many = streams(60, [&](auto stream) { return head(stream, kWhole, block); });
  const auto frames = say_some(scene, kPreface + many);
  EXPECT_GT(resets_with(frames, NGHTTP2_REFUSED_STREAM), 60 - 33);
  EXPECT_EQ(goaway_error(frames), -1);
}

TEST(Http2Attacks, DataBeyondTheWindowEndsTheStream) {
  Http2Scene scene({.raw_client = true, .server_peer = {.opens_windows = false}});
  scene.answers = false;
  const auto post = head(1, NGHTTP2_FLAG_END_HEADERS) +
                    times(40, frame(NGHTTP2_DATA, 0, 1, std::string(16'000, 'x')));
  EXPECT_EQ(resets_with(say_some(scene, kPreface + post), NGHTTP2_FLOW_CONTROL_ERROR), 1);
  EXPECT_LE(scene.server->streams[1].body.size(), 65'535U);
}

TEST(Http2Attacks, ANameWithCapitalsIsRefused) {
  Http2Scene scene({.raw_client = true});
  say_some(scene, kPreface + head(1, kWhole, kHeadBlock + field("X-A", "1")));
  EXPECT_TRUE(scene.server->requests.empty());
  ASSERT_EQ(scene.records.size(), 1U);
  EXPECT_EQ(scene.records[0].failure, "its head is malformed");
}

TEST(Http2Attacks, WhatIsNotHttp2Ends) {
  for (std::string text : {std::string("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
                           std::string("\x16\x03\x01\x02\0\1", 6), std::string(100, '\0')}) {
    Http2Scene scene({.limits = {.linger_time = milliseconds(100)}, .raw_client = true});
    EXPECT_GT(goaway_error(say(scene, text)), 0);
    EXPECT_TRUE(scene.server->requests.empty());
  }
}

TEST(Http2Attacks, ASlowHeadIsGivenUp) {
  struct Row {
    const char* name;
    std::string first;
    std::string slow;  // byte by byte
  };
  const std::vector<Row> rows = {
      {"preface", "", kPreface},
      {"first frame", NGHTTP2_CLIENT_MAGIC, kSettings + kSettings + kSettings},
      {"head", kPreface, head(1)},
      {"continuation", kPreface + head(1, 0),
       frame(NGHTTP2_CONTINUATION, 0, 1, "\x82\x82\x82\x82")},
      {"ping", kPreface, frame(NGHTTP2_PING, 0, 0, "12345678")},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Http2Scene scene({.limits = {.head_time = milliseconds(100), .linger_time = milliseconds(50)},
                      .raw_client = true});
    auto drip = [](Http2Scene& self, std::string first, std::string slow) -> Task<> {
      if (!co_await write(*self.client_stream, first)) co_return;
      for (char c : slow) {
        if (!co_await write(*self.client_stream, std::string(1, c))) co_return;
        co_await pause(milliseconds(20));
      }
    };
    const auto begin = std::chrono::steady_clock::now();
    scene.loop.spawn(drip(scene, row.first, row.slow));
    scene.until([&] { return scene.ended; });
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(600));
    EXPECT_TRUE(scene.server->requests.empty());
  }
}

// Many heads in a row are no slow one.
TEST(Http2Attacks, HeadsThatComeCutIntoPiecesAreNoSlowHead) {
  Http2Scene scene({.limits = {.head_time = milliseconds(100)}, .raw_client = true});
  auto ask = [](Http2Scene& self, bool& done) -> Task<> {
    std::string all = kPreface;
    for (std::uint32_t i = 0; i < 30; ++i) all += head(2 * i + 1);
    // Each piece ends within a head.
    const auto size = head(1).size();
    for (std::size_t at = 0; at < all.size(); at += size) {
      EXPECT_TRUE(co_await write(*self.client_stream, all.substr(at, size)));
      co_await pause(milliseconds(10));
    }
    done = true;
  };
  bool done = false;
  scene.loop.spawn(ask(scene, done));
  scene.until([&] { return done; });
  scene.until([&] { return scene.server->requests.size() == 30; });
  EXPECT_FALSE(scene.ended);
}

// It asks and does not listen.
TEST(Http2Attacks, AnswersThatAreNotReadAreBounded) {
  Http2Scene scene({.http2 = {.stall_time = milliseconds(300)}, .raw_client = true});
  auto speak = [](Http2Scene& self) -> Task<> {
    std::string all = kPreface;
    for (std::uint32_t i = 0; i < 20'000; ++i) all += head(2 * i + 1);
    static_cast<void>(co_await write(*self.client_stream, all));
  };
  scene.loop.spawn(speak(scene));
  scene.until([&] { return scene.ended; });
  EXPECT_LT(scene.server->requests.size(), 15'000U);
}

// ---- servers

struct HostileServer {
  const char* name;
  std::string text;    // behind its settings
  const char* status;  // that the client gets, empty for a reset
};

TEST(Http2Attacks, AHostileServerHarmsItsOwnAnswersOnly) {
  const auto answer = [](const std::string& block) { return head(1, kWhole, block); };
  const auto push = [](std::uint32_t stream) {
    return frame(NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1,
                 big_endian(stream, 4) + kHeadBlock);
  };
  const std::string ok = "\x88";
  const std::vector<HostileServer> rows = {
      {"a push", push(2) + answer(ok), "200"},
      {"push flood", streams(5'000, [&](auto stream) { return push(stream + 1); }), "502"},
      {"an answer to nothing", head(3, kWhole, ok), "502"},
      {"data before the head", frame(NGHTTP2_DATA, 0, 1, "x"), "502"},
      {"no status", answer(field("x", "y")), "502"},
      {"a status that is none", answer(field(":status", "2x0")), "502"},
      {"101", answer(field(":status", "101")), "502"},
      {"newline in a value", answer(ok + field("x", "y\r\nset-cookie: z")), "502"},
      {"Connection", answer(ok + field("connection", "x")), "502"},
      {"large head", answer(ok + field("x", std::string(16'000, 'x'))), "200"},
      {"larger head",
       head(1, NGHTTP2_FLAG_END_STREAM, ok + field("x", std::string(16'000, 'x'))) +
           frame(NGHTTP2_CONTINUATION, 0, 1, field("x", std::string(16'000, 'x'))) +
           frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1,
                 field("x", std::string(16'000, 'x'))),
       "502"},
      {"SETTINGS flood", times(20'000, kSettings), "502"},
      {"PING flood", times(20'000, frame(NGHTTP2_PING, 0, 0, "12345678")), "502"},
      {"CONTINUATION flood",
       head(1, 0, ok) + times(5'000, frame(NGHTTP2_CONTINUATION, 0, 1, "\x88")), "502"},
      {"length",
       head(1, NGHTTP2_FLAG_END_HEADERS, ok + field("content-length", "9")) +
           frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x"),
       ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Http2Scene scene({.raw_server = true});
    auto speak = [](Http2Scene& self, std::string text) -> Task<> {
      static_cast<void>(co_await write(*self.server_stream, text));
      static_cast<void>(co_await read_to_end(*self.server_stream));
    };
    scene.client->request(scene.get("/"));
    scene.until([&] { return scene.under_way.size() == 1; });
    scene.settle(milliseconds(5));
    scene.loop.spawn(speak(scene, kSettings + row.text));
    auto& message = scene.client->streams[1];
    scene.until([&] { return message.closed || scene.ended; });
    EXPECT_EQ(message.status(), row.status);
    EXPECT_EQ(value_of(message.heads.empty() ? Fields() : message.heads[0], "set-cookie"),
              "(none)");
    EXPECT_EQ(message.error != 0, *row.status == '\0');
  }
}

// Interim answers without end, to a client that does not read.
TEST(Http2Attacks, HeadsThatAreNotReadAreBounded) {
  Http2Scene scene({.raw_client = true, .raw_server = true});
  std::size_t written = 0;
  auto ask = [](Http2Scene& self) -> Task<> {
    EXPECT_TRUE(co_await write(*self.client_stream, kPreface + head(1)));
  };
  auto flood = [](Http2Scene& self, std::size_t& count) -> Task<> {
    static_cast<void>(co_await write(*self.server_stream, kSettings));
    const auto interim = head(1, NGHTTP2_FLAG_END_HEADERS,
                              field(":status", "103") + field("link", std::string(8'000, 'x')));
    for (bool taken = true; taken;) {
      taken = co_await write(*self.server_stream, interim);
      if (taken) count += interim.size();
      if (count > (64U << 20)) co_return;
    }
  };
  scene.loop.spawn(ask(scene));
  scene.settle();
  scene.loop.spawn(flood(scene, written));
  scene.until([&] { return scene.ended || written > (64U << 20); });
  EXPECT_LT(written, 8U << 20);
}

}  // namespace
}  // namespace capsem::host::net
