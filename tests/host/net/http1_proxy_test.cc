#include "host/net/http1_proxy.h"

#include <gtest/gtest.h>

#include <string>

#include "async/task_group.h"
#include "tests/host/net/proxy_scene.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::milliseconds;

Task<> say(async::Stream& to, std::string text) {
  EXPECT_TRUE(co_await write(to, text));
}

Task<> say_last(async::Stream& to, std::string text) {
  EXPECT_TRUE(co_await write(to, text));
  to.shutdown_write();
}

Task<> hear(async::Stream& from, std::string end, std::string& text) {
  text += co_await read_until(from, end);
}

// What `to` gets up to `end` after `from` said `text`.
std::string pass(ProxyScene& scene, async::Stream& from, const std::string& text, async::Stream& to,
                 const std::string& end) {
  std::string heard;
  if (!text.empty()) scene.loop.spawn(say(from, text));
  scene.loop.spawn(hear(to, end, heard));
  scene.loop.run_until([&] { return heard.ends_with(end); }, std::chrono::seconds(5));
  return heard;
}

TEST(Http1Proxy, PassesRequestsOnOneAfterTheOther) {
  ProxyScene scene;
  scene.answer({kOk, "HTTP/1.1 404 Gone fishing\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"});
  const auto heard =
      scene.ask("GET /one?a=b HTTP/1.1\r\nhost: A.example.\r\nX-B:  c \r\n\r\n" + kAsk);
  EXPECT_EQ(heard, kOk + "HTTP/1.1 404 Gone fishing\r\nX-A: b\r\nContent-Length: 0\r\n\r\n");
  scene.loop.run();
  EXPECT_EQ(scene.asked,
            "GET /one?a=b HTTP/1.1\r\nHost: a.example\r\nX-B: c\r\n\r\n"
            "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
  EXPECT_EQ(scene.connected_to, std::vector<std::string>{"a.example"});
  ASSERT_EQ(scene.records.size(), 2U);
  const auto& record = scene.records[0];
  EXPECT_EQ(record.method, "GET");
  EXPECT_EQ(record.host, "a.example");
  EXPECT_EQ(record.path, "/one?a=b");
  EXPECT_EQ(record.status, 200U);
  EXPECT_EQ(record.received, 2U);
  EXPECT_EQ(record.decision, (Decision{Verdict::kPass, "yes-rule"}));
  EXPECT_TRUE(record.failure.empty()) << record.failure;
  EXPECT_EQ(scene.records[1].status, 404U);
}

TEST(Http1Proxy, ADenialIsToldAndTheConnectionGoesOn) {
  ProxyScene scene;
  scene.answer({kOk});
  const std::string denied = "POST /no HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc";
  const auto heard = scene.ask(denied + kAsk + denied);
  const auto first = heard.find(kOk);
  ASSERT_NE(first, std::string::npos) << heard;
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 403 Forbidden\r\n")) << heard;
  EXPECT_TRUE(heard.substr(0, first).ends_with("\r\n\r\ndenied by no-rule; allow it\n")) << heard;
  EXPECT_TRUE(heard.substr(first + kOk.size()).starts_with("HTTP/1.1 403 ")) << heard;
  scene.loop.run();
  EXPECT_EQ(scene.asked, kAsk);
  ASSERT_EQ(scene.records.size(), 3U);
  EXPECT_EQ(scene.records[0].status, 403U);
  EXPECT_EQ(scene.records[0].decision, (Decision{Verdict::kDeny, "no-rule"}));
}

TEST(Http1Proxy, ADeniedBodyThatIsLargeOrAwaitedEndsTheConnection) {
  for (std::string fields : {"Content-Length: 100000\r\n\r\n" + std::string(100'000, 'x'),
                             std::string("Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
                             std::string("Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")}) {
    ProxyScene scene;
    const auto heard = scene.ask("POST /no HTTP/1.1\r\nHost: a.example\r\n" + fields + kAsk);
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 403 ")) << heard;
    EXPECT_TRUE(heard.contains("Connection: close")) << heard;
    EXPECT_EQ(heard.find("HTTP/1.1 ", 1), std::string::npos) << heard;
    EXPECT_TRUE(scene.connected_to.empty());
  }
}

TEST(Http1Proxy, EveryRequestOfAConnectionIsForItsHost) {
  ProxyScene scene;
  scene.answer({kOk});
  auto heard = scene.ask(kAsk + "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
  EXPECT_TRUE(heard.starts_with(kOk + "HTTP/1.1 421 ")) << heard;
  scene.loop.run();
  EXPECT_EQ(scene.asked, kAsk);

  ProxyScene tls({}, {.secure = true, .host = "a.example", .port = 443});
  heard = tls.ask("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 421 ")) << heard;
  EXPECT_TRUE(tls.connected_to.empty());
}

TEST(Http1Proxy, AbsoluteFormBecomesAPath) {
  ProxyScene scene;
  scene.answer({kOk});
  const auto heard = scene.ask("GET http://A.example:80/x HTTP/1.1\r\nHost: a.example\r\n\r\n");
  EXPECT_EQ(heard, kOk);
  scene.loop.run();
  EXPECT_EQ(scene.asked, "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n");
}

TEST(Http1Proxy, FieldsOfOneConnectionStayOnIt) {
  ProxyScene scene;
  scene.answer(
      {"HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
       "Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Authenticate: x\r\nX: y\r\n"
       "Content-Length: 0\r\n\r\n"});
  const auto heard = scene.ask(
      "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings, X-Hop\r\n"
      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\nX-Hop: 1\r\nProxy-Authorization: x\r\n"
      "Proxy-Connection: keep-alive\r\nTE: trailers, deflate\r\nX: y\r\n\r\n");
  EXPECT_EQ(heard, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n");
  scene.loop.run();
  EXPECT_EQ(scene.asked,
            "GET / HTTP/1.1\r\nHost: a.example\r\nX: y\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
}

TEST(Http1Proxy, AnswersWithoutBodiesHaveNone) {
  ProxyScene scene;
  scene.answer({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 204 No Content\r\n\r\n", kOk});
  const auto heard = scene.ask("HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n" + kAsk + kAsk + kAsk);
  EXPECT_EQ(heard,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
            "HTTP/1.1 204 No Content\r\n\r\n" +
                kOk);
}

TEST(Http1Proxy, EachEventArrivesAsItComes) {
  ProxyScene scene;
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  auto head = pass(scene, *scene.server,
                   "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n",
                   *scene.client, "\r\n\r\n");
  EXPECT_TRUE(head.contains("Transfer-Encoding: chunked\r\n")) << head;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(pass(scene, *scene.server, "9\r\ndata: x\n\n\r\n", *scene.client, "\n\n\r\n"),
              "9\r\ndata: x\n\n\r\n");
  EXPECT_EQ(pass(scene, *scene.server, "0\r\nSum: 1\r\n\r\n", *scene.client, "\r\n\r\n"),
            "0\r\nSum: 1\r\n\r\n");
  EXPECT_EQ(scene.records.size(), 1U);
}

TEST(Http1Proxy, AnInterimAnswerComesFirst) {
  ProxyScene scene;
  const std::string head =
      "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
  auto asked = pass(scene, *scene.client, head, *scene.server, "\r\n\r\n");
  EXPECT_TRUE(asked.contains("Expect: 100-continue\r\n"));
  EXPECT_EQ(pass(scene, *scene.server,
                 "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
                 *scene.client, "Continue\r\n\r\n"),
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(pass(scene, *scene.client, "body", *scene.server, "body"), "body");
  EXPECT_EQ(pass(scene, *scene.server, kOk, *scene.client, "ok"), kOk);
  ASSERT_EQ(scene.records.size(), 1U);
  EXPECT_EQ(scene.records[0].sent, 4U);
}

TEST(Http1Proxy, AnAnswerMayComeBeforeTheWholeRequest) {
  ProxyScene scene;
  pass(scene, *scene.client, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbo",
       *scene.server, "\r\n\r\nbo");
  EXPECT_EQ(pass(scene, *scene.server, kOk, *scene.client, "ok"), kOk);
  EXPECT_EQ(pass(scene, *scene.client, "dy" + kAsk, *scene.server, "\r\n\r\n"), "dy" + kAsk);
  EXPECT_EQ(scene.records.at(0).sent, 4U);
  EXPECT_EQ(pass(scene, *scene.server, kOk, *scene.client, "ok"), kOk);
}

TEST(Http1Proxy, ARequestHasOneAnswer) {
  ProxyScene scene;
  pass(scene, *scene.client, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbo",
       *scene.server, "\r\n\r\nbo");
  EXPECT_EQ(pass(scene, *scene.server, kOk + kOk, *scene.client, "ok"), kOk);
  EXPECT_EQ(scene.ask(""), "");
}

TEST(Http1Proxy, AServerThatDoesNotTakeTheBodyIsHeard) {
  ProxyScene scene;
  pass(scene, *scene.client,
       "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9000000\r\n\r\n", *scene.server,
       "\r\n\r\n");
  scene.loop.spawn(say(*scene.server,
                       "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  const auto heard = scene.ask(std::string(100'000, 'x'));
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 413 ")) << heard;
  EXPECT_TRUE(heard.contains("Connection: close\r\n")) << heard;
  scene.loop.run();
  EXPECT_EQ(scene.records.at(0).status, 413U);
}

TEST(Http1Proxy, ABodyToTheEndEndsTheConnection) {
  ProxyScene scene;
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  scene.loop.spawn(say_last(*scene.server, "HTTP/1.1 200 OK\r\n\r\nall of it"));
  EXPECT_EQ(scene.ask(""), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
}

TEST(Http1Proxy, Http10GetsNoChunks) {
  ProxyScene scene;
  scene.answer({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"});
  EXPECT_EQ(scene.ask("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
  scene.loop.run();
  EXPECT_EQ(scene.asked, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
}

TEST(Http1Proxy, AnAnswerThatIsCutIsNoWholeOne) {
  ProxyScene scene;
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  scene.loop.spawn(say_last(*scene.server, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"));
  const auto heard = scene.ask("");
  EXPECT_TRUE(heard.ends_with("\r\n\r\nab")) << heard;
  scene.loop.run();
  EXPECT_FALSE(scene.records.at(0).failure.empty());
}

TEST(Http1Proxy, AServerThatIsNotThereIs502) {
  ProxyScene scene;
  scene.no_server();
  const auto heard = scene.ask(kAsk + kAsk);
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 502 ")) << heard;
  EXPECT_TRUE(heard.ends_with("\r\n\r\ncannot connect to a.example: it is not there\n")) << heard;

  ProxyScene silent;
  pass(silent, *silent.client, kAsk, *silent.server, "\r\n\r\n");
  silent.server->shutdown_write();
  EXPECT_TRUE(silent.ask("").starts_with("HTTP/1.1 502 "));
}

// The client knows what an idle connection's end means, and asks again on another.
TEST(Http1Proxy, TheEndOfAnIdleServerIsPassedOn) {
  ProxyScene scene;
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  EXPECT_EQ(pass(scene, *scene.server, kOk, *scene.client, "ok"), kOk);
  scene.server->shutdown_write();
  std::string heard = "x";
  auto listen = [](async::Stream& from, std::string& text) -> Task<> {
    text = co_await read_to_end(from);
  };
  scene.loop.spawn(listen(*scene.client, heard));
  scene.loop.run_until([&] { return heard.empty(); });
  scene.client->shutdown_write();
  scene.loop.run_until([&] { return scene.ended; });
}

// So does one who had asked already: it may not be told that the server failed.
TEST(Http1Proxy, AUsedConnectionThatEndsUnansweredIsNo502) {
  ProxyScene scene;
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  EXPECT_EQ(pass(scene, *scene.server, kOk, *scene.client, "ok"), kOk);
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  scene.server->shutdown_write();
  EXPECT_EQ(scene.ask(""), "");
  scene.loop.run();
  ASSERT_EQ(scene.records.size(), 2U);
  EXPECT_EQ(scene.records[1].status, 0U);
  EXPECT_FALSE(scene.records[1].failure.empty());
}

TEST(Http1Proxy, AServerMayEndWhileARequestIsJudged) {
  for (std::string path : {"/slow", "/slow/no"}) {
    ProxyScene scene;
    pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
    EXPECT_EQ(pass(scene, *scene.server, kOk, *scene.client, "ok"), kOk);
    scene.loop.spawn(say(*scene.client, "GET " + path + " HTTP/1.1\r\nHost: a.example\r\n\r\n"));
    scene.loop.run_until([&] { return scene.judging; });
    scene.server->shutdown_write();
    const auto heard = scene.ask("");
    // A denial does not need the server.
    EXPECT_EQ(heard.starts_with("HTTP/1.1 403 "), path.ends_with("no")) << heard;
    EXPECT_EQ(heard.empty(), !path.ends_with("no")) << heard;
  }
}

TEST(Http1Proxy, WhatWasNotAskedForIsNoAnswer) {
  ProxyScene scene;
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  EXPECT_EQ(pass(scene, *scene.server, kOk, *scene.client, "ok"), kOk);
  scene.loop.spawn(say(*scene.server, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
  EXPECT_EQ(scene.ask(""), "");
}

TEST(Http1Proxy, AWebSocketIsPassedOnUnread) {
  ProxyScene scene;
  auto asked = pass(scene, *scene.client,
                    "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\n"
                    "Upgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n\r\n\x81\x01"
                    "a",
                    *scene.server, "\r\n\r\n");
  EXPECT_TRUE(asked.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")) << asked;
  EXPECT_TRUE(asked.contains("\r\nSec-WebSocket-Key: x\r\n")) << asked;
  auto heard = pass(scene, *scene.server,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
                    "\r\nSec-WebSocket-Accept: y\r\n\r\n\x81\x01"
                    "b",
                    *scene.client,
                    "\x01"
                    "b");
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 101 ")) << heard;
  EXPECT_TRUE(heard.contains("\r\nConnection: Upgrade\r\n")) << heard;
  EXPECT_EQ(pass(scene, *scene.client,
                 "\x81\x01"
                 "c",
                 *scene.server, "c"),
            "\x81\x01"
            "a\x81\x01"
            "c");
  scene.server->shutdown_write();
  EXPECT_EQ(scene.ask(""), "");
  scene.loop.run();
  ASSERT_EQ(scene.records.size(), 1U);
  EXPECT_EQ(scene.records[0].status, 101U);
  EXPECT_EQ(scene.records[0].sent, 6U);
  EXPECT_EQ(scene.records[0].received, 3U);
}

TEST(Http1Proxy, AWebSocketThatIsRefusedIsAnAnswer) {
  ProxyScene scene;
  scene.answer({kOk, kOk});
  const auto heard = scene.ask(
      "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" +
      kAsk);
  EXPECT_EQ(heard, kOk + kOk);
}

TEST(Http1Proxy, ASlowHeadIsGivenUp) {
  ProxyScene scene({.head_time = milliseconds(100), .linger_time = milliseconds(100)});
  std::string heard;
  auto listen = [](async::Stream& from, std::string& text) -> Task<> {
    text = co_await read_to_end(from);
  };
  auto drip = [](ProxyScene& self) -> Task<> {
    for (char c : kAsk) {
      if (!co_await write(*self.client, std::string(1, c))) co_return;
      co_await pause(milliseconds(20));
    }
  };
  scene.loop.spawn(listen(*scene.client, heard));
  scene.loop.spawn(drip(scene));
  const auto begin = std::chrono::steady_clock::now();
  scene.loop.run_until([&] { return scene.ended; });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(600));
  scene.loop.run();
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 408 ")) << heard;
}

TEST(Http1Proxy, AnIdleConnectionEnds) {
  ProxyScene scene({.idle_time = milliseconds(50), .linger_time = milliseconds(50)});
  pass(scene, *scene.client, kAsk, *scene.server, "\r\n\r\n");
  scene.loop.spawn([](ProxyScene& self) -> Task<> {
    co_await pause(milliseconds(150));  // it is not idle while an answer is awaited
    EXPECT_FALSE(self.ended);
    EXPECT_TRUE(co_await write(*self.server, kOk));
    self.asked = co_await read_to_end(*self.server);
  }(scene));
  std::string heard;
  scene.loop.spawn(hear(*scene.client, "ok", heard));
  scene.loop.run_until([&] { return scene.ended; });
  EXPECT_EQ(heard, kOk);
}

TEST(Http1Proxy, AClientThatIsGoneEndsTheRequest) {
  ProxyScene scene;
  pass(scene, *scene.client, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbo",
       *scene.server, "bo");
  scene.client.reset();
  scene.loop.run_until([&] { return scene.ended; });
  ASSERT_EQ(scene.records.size(), 1U);
  EXPECT_EQ(scene.records[0].status, 0U);
  EXPECT_FALSE(scene.records[0].failure.empty());
}

// Neither side's bytes are collected for the other.
TEST(Http1Proxy, ASlowReaderStopsTheWriter) {
  ProxyScene scene;
  pass(scene, *scene.client,
       "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n", *scene.server,
       "\r\n\r\n");
  std::size_t written = 0;
  auto flood = [](async::Stream& to, std::size_t& count) -> Task<> {
    const std::string piece = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
    for (bool taken = true; taken;) {
      taken = co_await write(to, piece);
      if (taken) count += piece.size();
    }
  };
  async::TaskGroup floods(scene.loop.executor());
  floods.spawn(flood(*scene.client, written));
  for (int i = 0; i < 50; ++i) scene.loop.poll();
  EXPECT_LT(written, 2U << 20);
  scene.server.reset();
  scene.loop.run_until([&] { return scene.ended && floods.empty(); });
}

}  // namespace
}  // namespace capsem::host::net
