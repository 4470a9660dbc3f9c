// Requests that one reads like this and another like that: none gets out.
#include <gtest/gtest.h>

#include <string>

#include "tests/host/net/proxy_scene.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

struct Row {
  const char* name;
  std::string request;
  unsigned status;
};

std::string with(const std::string& fields) {
  return "POST / HTTP/1.1\r\nHost: a.example\r\n" + fields + "\r\n";
}

const Row kRows[] = {
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", with("Host: b.example\r\n"), 400},
    {"two Hosts, the same", with("Host: a.example\r\n"), 400},
    {"Host list", "GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", 400},
    {"Host with user", "GET / HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n", 400},
    {"Host with another port", "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", 421},
    {"Host in octal", "GET / HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n", 400},
    {"absolute-form disagrees", "GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", 400},
    {"absolute-form, other port", "GET http://a.example:81/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
     400},
    {"absolute-form, other scheme", "GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
     421},
    {"CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n", 405},
    {"TRACE", "TRACE / HTTP/1.1\r\nHost: a.example\r\n\r\n", 405},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"HTTP/0.9", "GET /\r\n\r\n", 400},
    {"CL.TE", with("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400},
    {"TE.CL", with("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + "0\r\n\r\n", 400},
    {"TE.TE", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), 400},
    {"TE list", with("Transfer-Encoding: identity, chunked\r\n") + "0\r\n\r\n", 501},
    {"TE not chunked", with("Transfer-Encoding: xchunked\r\n"), 501},
    {"TE gzip", with("Transfer-Encoding: gzip\r\n"), 501},
    {"TE with tab", with("Transfer-Encoding:\tchunked\x0b\r\n"), 400},
    {"TE in HTTP/1.0",
     "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"CL twice", with("Content-Length: 2\r\nContent-Length: 2\r\n") + "ab", 400},
    {"CL list", with("Content-Length: 2, 2\r\n") + "ab", 400},
    {"CL with sign", with("Content-Length: +2\r\n") + "ab", 400},
    {"CL hexadecimal", with("Content-Length: 0x2\r\n") + "ab", 400},
    {"CL too large", with("Content-Length: 99999999999999999999\r\n"), 400},
    {"CL empty", with("Content-Length:\r\n"), 400},
    {"obs-fold", with("X: a\r\n b\r\n"), 400},
    {"obs-fold at first", "GET / HTTP/1.1\r\n Host: a.example\r\n\r\n", 400},
    {"bare LF", "GET / HTTP/1.1\nHost: a.example\n\n", 400},
    {"one bare LF", "GET / HTTP/1.1\r\nHost: a.example\nX: y\r\n\r\n", 400},
    {"bare CR", with("X: a\rHost: b.example\r\n"), 400},
    {"NUL", with(std::string("X: a\0b\r\n", 8)), 400},
    {"space before colon", with("Content-Length : 2\r\n") + "ab", 400},
    {"no colon", with("Content-Length 2\r\n"), 400},
    {"no name", with(": 2\r\n"), 400},
    {"spaces in the target", "GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n", 400},
    {"two spaces", "GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400},
    {"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400},
    {"Connection names Host", with("Connection: Host\r\n"), 400},
    {"Connection names Content-Length",
     with("Connection: close, Content-Length\r\nContent-Length: 2\r\n") + "ab", 400},
    {"unknown expectation", with("Expect: wonders\r\n"), 417},
    {"line too long", "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: a.example\r\n\r\n",
     414},
    {"head too large", with("X: " + std::string(40'000, 'a') + "\r\n"), 431},
};

TEST(Http1Smuggling, NothingOfItGetsOut) {
  for (const auto& row : kRows) {
    ProxyScene scene;
    const auto heard = scene.ask(row.request + kAsk);
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 " + std::to_string(row.status) + " "))
        << row.name << ": " << heard;
    EXPECT_TRUE(heard.contains("Connection: close\r\n")) << row.name;
    EXPECT_EQ(heard.find("HTTP/1.1 ", 1), std::string::npos) << row.name << ": a second answer";
    EXPECT_TRUE(scene.connected_to.empty()) << row.name;
    scene.loop.run();
    ASSERT_EQ(scene.records.size(), 1U) << row.name;
    EXPECT_EQ(scene.records[0].status, row.status) << row.name;
    EXPECT_FALSE(scene.records[0].failure.empty()) << row.name;
  }
}

TEST(Http1Smuggling, AMillionFieldsAreCutShort) {
  ProxyScene scene;
  std::string head = "GET / HTTP/1.1\r\nHost: a.example\r\n";
  for (int i = 0; i < 1'000'000; ++i) head += "X: y\r\n";
  const auto heard = scene.ask(head + "\r\n");
  EXPECT_TRUE(heard.empty() || heard.starts_with("HTTP/1.1 431 ")) << heard;
  scene.loop.run();
  EXPECT_EQ(scene.records.at(0).status, 431U);
  EXPECT_TRUE(scene.connected_to.empty());

  ProxyScene few;
  head = "GET / HTTP/1.1\r\nHost: a.example\r\n";
  for (int i = 0; i < 300; ++i) head += "X: y\r\n";
  EXPECT_TRUE(few.ask(head + "\r\n").starts_with("HTTP/1.1 431 "));
}

// What follows a chunked body is a request of its own or nothing: the server never sees chunks as
// the client spelt them.
TEST(Http1Smuggling, ChunksAreMadeAnew) {
  ProxyScene scene;
  scene.answer({kOk});
  const auto heard =
      scene.ask(with("Transfer-Encoding: chunked\r\nConnection: close\r\n") +
                "0005;a=\"b\"\r\nhello\r\n000;x\r\nContent-Type: evil\r\nX: y\r\n\r\n");
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 ")) << heard;
  scene.loop.run();
  EXPECT_TRUE(scene.asked.ends_with("\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n")) << scene.asked;
}

TEST(Http1Smuggling, BrokenChunksEndTheConnection) {
  for (std::string body :
       {"5\nhello\r\n0\r\n\r\n", "g\r\n", "5\r\nhelloX0\r\n\r\n", "-5\r\nhello",
        "5 \r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "11111111111111111\r\n",
        "5;\x01\r\nhello\r\n0\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nTransfer-Encoding: x\r\n : y\r\n\r\n"}) {
    ProxyScene scene;
    auto listen = [](ProxyScene& self) -> Task<> {
      self.asked = co_await read_to_end(*self.server);
    };
    scene.loop.spawn(listen(scene));
    const auto heard = scene.ask(with("Transfer-Encoding: chunked\r\n") + body + kAsk);
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 400 ")) << body << ": " << heard;
    EXPECT_FALSE(scene.asked.ends_with("0\r\n\r\n")) << body << ": " << scene.asked;
    EXPECT_FALSE(scene.asked.contains("GET")) << body << ": " << scene.asked;
  }
}

TEST(Http1Smuggling, AChunkHeaderHasABound) {
  ProxyScene scene;
  auto listen = [](ProxyScene& self) -> Task<> { self.asked = co_await read_to_end(*self.server); };
  scene.loop.spawn(listen(scene));
  const auto heard =
      scene.ask(with("Transfer-Encoding: chunked\r\n") + "5;a=" + std::string(1'000'000, 'a'));
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 400 ")) << heard;
}

// An answer in two readings must not become an answer to the next request.
TEST(Http1Smuggling, AnswersAreHeldToTheSameRules) {
  for (std::string answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", "hello\r\n\r\n"}) {
    ProxyScene scene;
    scene.answer({answer});
    const auto heard = scene.ask(kAsk + kAsk);
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 502 ")) << answer << ": " << heard;
    scene.loop.run();
    EXPECT_EQ(scene.records.at(0).status, 502U);
    EXPECT_FALSE(scene.records.at(0).failure.empty());
  }
}

}  // namespace
}  // namespace capsem::host::net
