#include "host/net/http2_proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/host/net/http2_scene.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Http2Proxy, PassesRequestsOnAllAtOnce) {
  Http2Scene scene;
  scene.answers = false;
  const auto one = scene.client->request(scene.get("/one?a=b", {{"x-a", "b"}}));
  const auto two = scene.client->request(scene.get("/two"));
  scene.until([&] { return scene.server->requests.size() == 2; });
  EXPECT_THAT(scene.server->streams[1].heads[0],
              ElementsAre(::testing::Pair(":method", "GET"), ::testing::Pair(":scheme", "https"),
                          ::testing::Pair(":authority", "a.example"),
                          ::testing::Pair(":path", "/one?a=b"), ::testing::Pair("x-a", "b")));
  // The later one is answered first.
  scene.server->answer(3, {{":status", "404"}, {"x-b", "c"}}, "gone");
  scene.until([&] { return scene.client->streams[two].closed; });
  EXPECT_THAT(scene.client->streams[two].heads,
              ElementsAre(Fields{{":status", "404"}, {"x-b", "c"}}));
  EXPECT_EQ(scene.client->streams[two].body, "gone");
  EXPECT_FALSE(scene.client->streams[one].closed);
  scene.server->answer(1, {{":status", "200"}});
  scene.until([&] { return scene.client->streams[one].closed; });
  EXPECT_EQ(scene.client->streams[one].error, 0U);
  ASSERT_EQ(scene.records.size(), 2U);
  const auto& record = scene.records[0];
  EXPECT_EQ(record.method, "GET");
  EXPECT_EQ(record.host, "a.example");
  EXPECT_EQ(record.path, "/two");
  EXPECT_EQ(record.status, 404U);
  EXPECT_EQ(record.received, 4U);
  EXPECT_EQ(record.protocol, "HTTP/2");
  EXPECT_EQ(record.decision, (Decision{Verdict::kPass, "yes-rule"}));
  EXPECT_EQ(record.failure, "");
  EXPECT_EQ(scene.records[1].path, "/one?a=b");
}

// What gRPC is made of.
TEST(Http2Proxy, PiecesAndTrailersGoBothWaysAsTheyCome) {
  Http2Scene scene;
  scene.answers = false;
  const auto stream =
      scene.client->request(scene.of("POST", "/s/M", {{"te", "trailers"}}), "first", false);
  scene.until([&] { return scene.server->streams[1].body == "first"; });
  EXPECT_EQ(value_of(scene.server->streams[1].heads[0], "te"), "trailers");
  scene.server->answer(1, {{":status", "200"}}, "one", false,
                       {{"grpc-status", "0"}, {"content-type", "x"}});
  scene.until([&] { return scene.client->streams[stream].body == "one"; });
  scene.client->streams[stream].send_trailers = {{"x-sum", "1"}};
  scene.client->more(stream, " second", true);
  scene.until([&] { return scene.server->streams[1].ended; });
  EXPECT_EQ(scene.server->streams[1].body, "first second");
  EXPECT_EQ(scene.server->streams[1].heads.back(), (Fields{{"x-sum", "1"}}));
  scene.server->more(1, " two", true);
  scene.until([&] { return scene.client->streams[stream].closed; });
  EXPECT_EQ(scene.client->streams[stream].body, "one two");
  EXPECT_EQ(scene.client->streams[stream].heads.back(), (Fields{{"grpc-status", "0"}}));
  EXPECT_EQ(scene.records.at(0).sent, 12U);
  EXPECT_EQ(scene.records.at(0).received, 7U);
}

TEST(Http2Proxy, AnAnswerOfTrailersAloneIsPassedOn) {
  Http2Scene scene;
  scene.answers = false;
  const auto stream = scene.client->request(scene.of("POST", "/s/M"), "x");
  scene.until([&] { return scene.server->streams[1].ended; });
  scene.server->answer(1, {{":status", "200"}, {"grpc-status", "12"}});
  scene.until([&] { return scene.client->streams[stream].closed; });
  EXPECT_EQ(value_of(scene.client->streams[stream].heads.back(), "grpc-status"), "12");
}

TEST(Http2Proxy, InterimAnswersComeFirst) {
  Http2Scene scene;
  scene.answers = false;
  const auto stream =
      scene.client->request(scene.of("PUT", "/", {{"expect", "100-continue"}}), "", false);
  scene.until([&] { return scene.server->requests.size() == 1; });
  EXPECT_EQ(value_of(scene.server->streams[1].heads[0], "expect"), "100-continue");
  scene.server->interim(1, {{":status", "103"}, {"link", "x"}, {"alt-svc", "h3=\":1\""}});
  scene.server->interim(1, {{":status", "100"}});
  scene.until([&] { return scene.client->streams[stream].heads.size() == 2; });
  scene.client->more(stream, "body", true);
  scene.until([&] { return scene.server->streams[1].ended; });
  scene.server->answer(1, {{":status", "201"}}, "ok");
  scene.until([&] { return scene.client->streams[stream].closed; });
  EXPECT_THAT(scene.client->streams[stream].heads,
              ElementsAre(Fields{{":status", "103"}, {"link", "x"}}, Fields{{":status", "100"}},
                          Fields{{":status", "201"}}));
  EXPECT_EQ(scene.records.at(0).sent, 4U);
}

TEST(Http2Proxy, AnswersToHeadHaveNoBody) {
  Http2Scene scene;
  scene.answers = false;
  const auto stream = scene.client->request(scene.of("HEAD", "/"));
  scene.until([&] { return scene.server->requests.size() == 1; });
  scene.server->answer(1, {{":status", "200"}, {"content-length", "5"}});
  scene.until([&] { return scene.client->streams[stream].closed; });
  EXPECT_EQ(value_of(scene.client->streams[stream].heads[0], "content-length"), "5");
  auto& denied = scene.ask(scene.of("HEAD", "/no"));
  EXPECT_EQ(denied.status(), "403");
  EXPECT_EQ(denied.body, "");
}

TEST(Http2Proxy, ADenialIsToldOnItsStreamAndOthersGoOn) {
  Http2Scene scene;
  scene.answers = false;
  const auto open = scene.client->request(scene.of("POST", "/"), "a", false);
  auto& denied = scene.ask(scene.get("/no"));
  EXPECT_EQ(denied.status(), "403");
  EXPECT_EQ(denied.body, "denied by no-rule; allow it\n");
  EXPECT_EQ(denied.error, 0U);
  scene.until([&] { return scene.server->requests.size() == 1; });
  scene.client->more(open, "b", true);
  scene.until([&] { return scene.server->streams[1].ended; });
  scene.server->answer(1, {{":status", "200"}});
  scene.until([&] { return scene.client->streams[open].closed; });
  EXPECT_EQ(scene.server->requests.size(), 1U);
  ASSERT_EQ(scene.records.size(), 2U);
  EXPECT_EQ(scene.records[0].status, 403U);
  EXPECT_EQ(scene.records[0].decision, (Decision{Verdict::kDeny, "no-rule"}));
}

// So that the client cannot take its answer for a failure.
TEST(Http2Proxy, TheSmallBodyOfADeniedRequestMayEnd) {
  Http2Scene scene({.http2 = {.stall_time = milliseconds(200)}});
  const auto stream = scene.client->request(scene.of("POST", "/no"), "x", false);
  scene.until([&] { return scene.client->streams[stream].ended; });
  scene.client->more(stream, "y", true);
  scene.until([&] { return scene.records.size() == 1; });
  EXPECT_THAT(scene.client->frames, Not(Contains(NGHTTP2_RST_STREAM)));
  // Or else it ends in time.
  const auto never = scene.client->request(scene.of("POST", "/no"), "x", false);
  scene.until([&] { return scene.client->streams[never].closed; });
  EXPECT_EQ(scene.client->streams[never].status(), "403");
}

// Their bodies do not use up the connection's window.
TEST(Http2Proxy, TheBodiesOfDeniedRequestsAreDropped) {
  Http2Scene scene;
  const std::string body(300'000, 'x');
  for (int i = 0; i < 8; ++i) {
    const auto stream = scene.client->request(scene.of("POST", "/no"), body.c_str());
    scene.until([&] { return scene.client->streams[stream].closed; });
    EXPECT_EQ(scene.client->streams[stream].status(), "403");
  }
  const auto stream = scene.client->request(scene.of("POST", "/"), body.c_str());
  scene.until([&] { return scene.server->streams[1].ended; });
  EXPECT_EQ(scene.server->streams[1].body.size(), body.size());
  scene.until([&] { return scene.client->streams[stream].closed; });
}

TEST(Http2Proxy, FieldsOfOneConnectionAndOtherServersAreTakenOut) {
  Http2Scene scene;
  scene.answers = false;
  const auto stream = scene.client->request(scene.get("/", {{"host", "A.example:443"},
                                                            {"http2-settings", "x"},
                                                            {"proxy-authorization", "x"},
                                                            {"x", "y"},
                                                            {"cookie", "a=1"},
                                                            {"cookie", "b=2"}}));
  scene.until([&] { return scene.server->requests.size() == 1; });
  EXPECT_EQ(scene.server->streams[1].heads[0],
            scene.get("/", {{"x", "y"}, {"cookie", "a=1"}, {"cookie", "b=2"}}));
  nghttp2_submit_altsvc(scene.server->session, 0, 0, reinterpret_cast<const uint8_t*>("a.example"),
                        9, reinterpret_cast<const uint8_t*>("h3=\":443\""), 9);
  nghttp2_submit_origin(scene.server->session, 0, nullptr, 0);
  scene.server->answer(
      1, {{":status", "200"}, {"alt-svc", "h3=\":443\""}, {"x", "y"}, {"proxy-authenticate", "x"}});
  scene.until([&] { return scene.client->streams[stream].closed; });
  EXPECT_THAT(scene.client->streams[stream].heads,
              ElementsAre(Fields{{":status", "200"}, {"x", "y"}}));
  EXPECT_THAT(scene.client->frames, Not(Contains(NGHTTP2_ALTSVC)));
  EXPECT_THAT(scene.client->frames, Not(Contains(NGHTTP2_ORIGIN)));
}

// ---- ends

TEST(Http2Proxy, AResetIsPassedOn) {
  Http2Scene scene;
  scene.answers = false;
  const auto one = scene.client->request(scene.get("/one"));
  const auto two = scene.client->request(scene.get("/two"));
  scene.until([&] { return scene.server->requests.size() == 2; });
  scene.client->reset(one, NGHTTP2_CANCEL);
  scene.until([&] { return scene.server->streams[1].closed; });
  EXPECT_EQ(scene.server->streams[1].error, NGHTTP2_CANCEL);
  scene.server->answer(3, {{":status", "200"}}, "half", false);
  scene.until([&] { return scene.client->streams[two].body == "half"; });
  scene.server->reset(3, NGHTTP2_INTERNAL_ERROR);
  scene.until([&] { return scene.client->streams[two].closed; });
  EXPECT_EQ(scene.client->streams[two].error, NGHTTP2_INTERNAL_ERROR);
  ASSERT_EQ(scene.records.size(), 2U);
  EXPECT_THAT(scene.records[0].failure, HasSubstr("the client withdrew it"));
  EXPECT_FALSE(scene.records[1].failure.empty());
}

TEST(Http2Proxy, OfAResetBeforeTheAnswerTheClientHearsWhatItIsFor) {
  struct Row {
    std::uint32_t error;
    bool passed;
  };
  for (auto row : {Row{NGHTTP2_REFUSED_STREAM, true}, Row{NGHTTP2_HTTP_1_1_REQUIRED, true},
                   Row{NGHTTP2_INTERNAL_ERROR, false}}) {
    Http2Scene scene;
    scene.server->on_request = [&](std::int32_t stream) { scene.server->reset(stream, row.error); };
    auto& message = scene.ask(scene.get("/"));
    EXPECT_EQ(message.error, row.passed ? row.error : 0) << row.error;
    EXPECT_EQ(message.status(), row.passed ? "" : "502") << row.error;
  }
}

TEST(Http2Proxy, AServerMayAnswerWithoutTheBody) {
  Http2Scene scene;
  scene.server->on_request = [&](std::int32_t stream) {
    scene.server->answer(stream, {{":status", "413"}}, "too large");
  };
  const auto stream = scene.client->request(scene.of("POST", "/"), "x", false);
  scene.until([&] { return scene.client->streams[stream].ended; });
  EXPECT_FALSE(scene.client->streams[stream].closed);  // the server may still want the body
  scene.server->reset(1, NGHTTP2_NO_ERROR);
  scene.client->more(stream, std::string(100'000, 'x'), false);
  scene.until([&] { return scene.client->streams[stream].closed; });
  EXPECT_EQ(scene.client->streams[stream].body, "too large");
  EXPECT_EQ(scene.client->streams[stream].error, NGHTTP2_NO_ERROR);
}

TEST(Http2Proxy, AServerThatGoesAwayEndsWhatItHasTaken) {
  Http2Scene scene;
  scene.answers = false;
  const auto one = scene.client->request(scene.get("/one"));
  scene.until([&] { return scene.server->requests.size() == 1; });
  nghttp2_submit_goaway(scene.server->session, 0, 1, NGHTTP2_NO_ERROR, nullptr, 0);
  scene.server->wake();
  scene.until([&] { return scene.client->went_away; });
  EXPECT_EQ(scene.client->goaway_error, NGHTTP2_NO_ERROR);
  EXPECT_FALSE(scene.client->streams[one].closed);
  scene.server->answer(1, {{":status", "200"}}, "ok");
  scene.until([&] { return scene.ended; });
  EXPECT_EQ(scene.client->streams[one].body, "ok");
}

// The client may send it again on another connection.
TEST(Http2Proxy, WhatAServerThatGoesAwayHasNotTakenIsRefused) {
  Http2Scene scene;
  scene.server->on_request = [&](std::int32_t) {
    nghttp2_submit_goaway(scene.server->session, 0, 0, NGHTTP2_NO_ERROR, nullptr, 0);
    scene.server->wake();
  };
  EXPECT_EQ(scene.ask(scene.get("/one")).error, NGHTTP2_REFUSED_STREAM);
}

TEST(Http2Proxy, AServerThatIsNotThereIs502) {
  Http2Scene scene({.server = false});
  for (int i = 0; i < 2; ++i) {
    auto& message = scene.ask(scene.get("/"));
    EXPECT_EQ(message.status(), "502");
    EXPECT_EQ(message.body, "cannot connect to a.example: it is not there\n");
  }
  EXPECT_EQ(scene.ask(scene.get("/no")).status(), "403");
  EXPECT_EQ(scene.records.at(0).status, 502U);
  EXPECT_FALSE(scene.records.at(0).failure.empty());
}

TEST(Http2Proxy, AServerThatEndsIs502ForWhatMayNotBeAskedAgainAndTheEndOfTheConnection) {
  Http2Scene scene;
  scene.answers = false;
  const auto one = scene.client->request(scene.get("/one"));
  const auto two = scene.client->request(scene.of("POST", "/two"));
  const auto three = scene.client->request(scene.get("/three"));
  scene.until([&] { return scene.server->requests.size() == 3; });
  scene.server->answer(1, {{":status", "200"}}, "half", false);
  scene.until([&] { return scene.client->streams[one].body == "half"; });
  scene.server_stream->reset();
  scene.until([&] { return scene.ended; });
  EXPECT_NE(scene.client->streams[one].error, 0U);
  EXPECT_EQ(scene.client->streams[two].status(), "502");
  EXPECT_EQ(scene.client->streams[three].error, NGHTTP2_REFUSED_STREAM);
  EXPECT_TRUE(scene.client->went_away);
}

TEST(Http2Proxy, AServerThatSpeaksNothingOrHttp1Is502) {
  for (std::string said : {"", "HTTP/1.1 400 Bad Request\r\n\r\n"}) {
    Http2Scene scene({.limits = {.head_time = milliseconds(100)}, .raw_server = true});
    scene.loop.spawn([](Http2Scene& self, std::string text) -> Task<> {
      co_await write(*self.server_stream, text);
    }(scene, said));
    EXPECT_EQ(scene.ask(scene.get("/")).status(), "502");
  }
}

TEST(Http2Proxy, AClientThatIsGoneEndsItsRequests) {
  Http2Scene scene;
  scene.answers = false;
  scene.client->request(scene.of("POST", "/"), "x", false);
  scene.until([&] { return scene.server->requests.size() == 1; });
  scene.client_stream->reset();
  scene.until([&] { return scene.ended && scene.server->ended; });
  ASSERT_EQ(scene.records.size(), 1U);
  EXPECT_FALSE(scene.records[0].failure.empty());
}

TEST(Http2Proxy, ARequestMayBeWithdrawnWhileItIsJudged) {
  Http2Scene scene;
  const auto stream = scene.client->request(scene.get("/slow"));
  scene.until([&] { return scene.judging; });
  scene.client->reset(stream, NGHTTP2_CANCEL);
  scene.until([&] { return scene.records.size() == 1; });
  EXPECT_TRUE(scene.server->requests.empty());
}

// Another policy ends what it does not allow, and nothing else.
TEST(Http2Proxy, ARequestThatIsNotAllowedAnyMoreEndsAlone) {
  Http2Scene scene;
  scene.answers = false;
  const auto one = scene.client->request(scene.get("/one"));
  scene.until([&] { return scene.server->requests.size() == 1; });
  const auto two = scene.client->request(scene.get("/two"));
  scene.until([&] { return scene.server->requests.size() == 2; });
  ASSERT_EQ(scene.under_way.size(), 2U);
  scene.under_way[0]->withdraw();
  scene.until([&] { return scene.client->streams[one].closed && scene.server->streams[1].closed; });
  EXPECT_EQ(scene.client->streams[one].error, NGHTTP2_CANCEL);
  EXPECT_EQ(scene.records.at(0).failure, "no rule allows it any more");
  scene.under_way[0]->withdraw();  // has ended
  scene.server->answer(3, {{":status", "200"}}, "ok");
  scene.until([&] { return scene.client->streams[two].closed; });
  EXPECT_EQ(scene.client->streams[two].body, "ok");
}

// ---- WebSockets (RFC 8441)

Fields websocket(const std::string& protocol = "websocket") {
  return Http2Scene::of("CONNECT", "/ws",
                        {{":protocol", protocol}, {"sec-websocket-version", "13"}});
}

TEST(Http2Proxy, AWebSocketGoesOverAStreamOfAServerThatAllowsIt) {
  Http2Scene scene({.server_peer = {.settings = {{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}}}});
  scene.answers = false;
  scene.until([&] {
    return nghttp2_session_get_remote_settings(scene.client->session,
                                               NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
  });
  auto& other = scene.ask(websocket("connect-udp"));
  EXPECT_EQ(other.status(), "501");
  const auto stream = scene.client->request(websocket(), "", false);
  scene.until([&] { return scene.server->requests.size() == 1; });
  EXPECT_EQ(scene.server->streams[1].heads[0], (Fields{{":method", "CONNECT"},
                                                       {":scheme", "https"},
                                                       {":authority", "a.example"},
                                                       {":path", "/ws"},
                                                       {":protocol", "websocket"},
                                                       {"sec-websocket-version", "13"}}));
  scene.server->answer(1, {{":status", "200"}}, "", false);
  scene.client->more(stream, "ping", false);
  scene.until([&] { return scene.server->streams[1].body == "ping"; });
  scene.server->more(1, "pong", true);
  scene.until([&] { return scene.client->streams[stream].ended; });
  EXPECT_EQ(scene.client->streams[stream].body, "pong");
  scene.client->more(stream, "", true);
  scene.until([&] { return scene.records.size() == 2; });
  EXPECT_EQ(scene.records[1].method, "GET");  // as it is judged
}

TEST(Http2Proxy, AWebSocketIsNotOfferedForAServerThatDoesNotAllowIt) {
  Http2Scene scene;
  EXPECT_EQ(scene.ask(scene.get("/")).status(), "200");
  EXPECT_EQ(nghttp2_session_get_remote_settings(scene.client->session,
                                                NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL),
            0U);
  auto& message = scene.ask(websocket());
  EXPECT_NE(message.status(), "200");
  EXPECT_EQ(scene.server->requests.size(), 1U);
}

// ---- flow

constexpr std::size_t kMuch = 8 << 20;

TEST(Http2Proxy, MuchGoesBothWaysOnSeveralStreams) {
  Http2Scene scene;
  scene.answers = false;
  const std::string body(kMuch, 'x');
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 4; ++i)
    streams.push_back(scene.client->request(scene.of("POST", "/"), body.c_str()));
  scene.until([&] { return scene.server->requests.size() == 4; });
  for (auto stream : scene.server->requests)
    scene.server->answer(stream, {{":status", "200"}}, body.c_str());
  for (auto stream : streams) {
    scene.until([&] { return scene.client->streams[stream].closed; });
    EXPECT_EQ(scene.client->streams[stream].body.size(), kMuch);
  }
  for (auto stream : scene.server->requests)
    EXPECT_EQ(scene.server->streams[stream].body.size(), kMuch);
  ASSERT_EQ(scene.records.size(), 4U);
  EXPECT_EQ(scene.records[0].sent, kMuch);
  EXPECT_EQ(scene.records[0].received, kMuch);
}

// A client that opens no window holds so much of an answer, and in the end loses its stream; others
// go on meanwhile.
TEST(Http2Proxy, AClientThatTakesNothingStopsTheServerAndLosesItsStreams) {
  Http2Scene scene({.http2 = {.stall_time = milliseconds(800)},
                    .client_peer = {.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}}}});
  scene.answers = false;
  const std::string body(kMuch, 'x');
  // More than half of the connection's window.
  std::vector<std::int32_t> stalled;
  for (std::int32_t stream = 1; stream < 36; stream += 2) stalled.push_back(stream);
  for (auto stream : stalled) {
    scene.client->request(scene.get("/stalled"));
    scene.until([&] { return !scene.server->streams[stream].heads.empty(); });
    scene.server->answer(stream, {{":status", "200"}}, body.c_str());
  }
  for (auto stream : stalled)
    scene.until([&] {
      return scene.server->streams[stream].sent == std::size_t(Http2Limits().stream_window);
    });
  scene.settle();
  for (auto stream : stalled)
    EXPECT_EQ(scene.server->streams[stream].sent, Http2Limits().stream_window);
  const auto other = scene.client->request(scene.get("/other"));
  scene.until([&] { return scene.server->requests.size() == stalled.size() + 1; });
  scene.server->answer(scene.server->requests.back(), {{":status", "200"}});
  scene.until([&] { return scene.client->streams[other].closed; });
  EXPECT_EQ(scene.client->streams[other].error, 0U);
  for (auto stream : stalled) {
    scene.until([&] {
      return scene.client->streams[stream].closed && scene.server->streams[stream].closed;
    });
    EXPECT_EQ(scene.client->streams[stream].error, NGHTTP2_CANCEL);
  }
  // What they held of the server's window is given back, by halves.
  scene.settle();
  EXPECT_GE(nghttp2_session_get_remote_window_size(scene.server->session),
            Http2Limits().connection_window / 2);
}

TEST(Http2Proxy, AStreamThatIsTakenAsItComesGetsAWiderWindow) {
  Http2Scene scene;
  scene.answers = false;
  const auto stream = scene.client->request(scene.get("/"));
  scene.until([&] { return scene.server->requests.size() == 1; });
  const std::string body(kMuch, 'x');
  scene.server->answer(1, {{":status", "200"}}, body.c_str(), false);
  scene.until([&] { return scene.client->streams[stream].body.size() == kMuch; });
  scene.settle();
  EXPECT_GT(nghttp2_session_get_stream_remote_window_size(scene.server->session, 1),
            Http2Limits().stream_window);
}

TEST(Http2Proxy, AServerThatTakesNothingStopsTheClient) {
  Http2Scene scene({.server_peer = {.opens_windows = false}});
  scene.answers = false;
  const std::string body(kMuch, 'x');
  const auto stream = scene.client->request(scene.of("POST", "/"), body.c_str());
  scene.settle(milliseconds(200));
  // The server's window and ours.
  EXPECT_LE(scene.client->streams[stream].sent, 65'535U + Http2Limits().stream_window);
  EXPECT_GE(scene.client->streams[stream].sent, 65'535U);
}

// That a client reads nothing at all is the same.
TEST(Http2Proxy, AConnectionThatTakesNothingEnds) {
  Http2Scene scene({.http2 = {.stall_time = milliseconds(200)}, .raw_client = true});
  scene.answers = false;
  const std::string body(kMuch, 'x');
  bool stopped = false;
  auto say = [](Http2Scene& self, bool& done) -> Task<> {
    Http2Peer client(self.loop.executor(), *self.client_stream, {});
    nghttp2_session_set_local_window_size(client.session, 0, 0, 1 << 30);
    nghttp2_settings_entry wide{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
    nghttp2_submit_settings(client.session, 0, &wide, 1);
    client.request(self.get("/"));
    co_await pause(milliseconds(50));
    co_await client.stop();
    done = true;
  };
  scene.loop.spawn(say(scene, stopped));
  scene.until([&] { return stopped; });
  scene.server->answer(1, {{":status", "200"}}, body.c_str());
  scene.until([&] { return scene.ended; });
  EXPECT_LT(scene.server->streams[1].sent, 1U << 20);
  EXPECT_THAT(scene.records.at(0).failure, HasSubstr("does not take"));
}

TEST(Http2Proxy, AnIdleConnectionEnds) {
  Http2Scene scene({.limits = {.idle_time = milliseconds(100)}});
  scene.answers = false;
  const auto stream = scene.client->request(scene.get("/"));
  scene.settle(milliseconds(200));
  EXPECT_FALSE(scene.ended);  // an answer is awaited
  scene.server->answer(1, {{":status", "200"}}, "ok");
  scene.until([&] { return scene.ended; });
  EXPECT_EQ(scene.client->streams[stream].body, "ok");
  EXPECT_TRUE(scene.client->went_away);
  EXPECT_EQ(scene.client->goaway_error, NGHTTP2_NO_ERROR);
}

}  // namespace
}  // namespace capsem::host::net
