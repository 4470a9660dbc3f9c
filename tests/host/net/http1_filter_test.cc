// Secrets in requests of HTTP/1.1, and what comes back of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "host/net/http1_proxy.h"
#include "tests/host/net/proxy_scene.h"
#include "tests/host/net/secret_judge.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Scene : ProxyScene {
  Scene() : ProxyScene({}, {}, with_secret(refused)) {}
  std::string refused;
};

TEST(Http1Filter, TheSecretGoesOutAndDoesNotComeBack) {
  Scene scene;
  const auto length = std::to_string(kValue.size() + 2);
  scene.answer(
      {"HTTP/1.1 200 OK\r\nX-Echo: " + kValue + "\r\nContent-Length: " + length + "\r\n\r\n<" +
           kValue + ">",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<the-\r\nb\r\ntrue-secret\r\n"
       "1\r\n>\r\n0\r\nX-End: " +
           kValue + "\r\n\r\n"});
  const std::string ask =
      "GET / HTTP/1.1\r\nHost: a.example\r\nX-Key: " + kSeen + "\r\nAccept-Encoding: gzip\r\n\r\n";
  const auto heard = scene.ask(ask + ask);
  EXPECT_EQ(heard, "HTTP/1.1 200 OK\r\nX-Echo: " + kSeen + "\r\nContent-Length: " + length +
                       "\r\n\r\n<" + kSeen +
                       ">HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n<\r\nf\r\n" +
                       kSeen + "\r\n1\r\n>\r\n0\r\nX-End: " + kSeen + "\r\n\r\n");
  scene.loop.run();
  const std::string asked = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Key: " + kValue +
                            "\r\nAccept-Encoding: identity\r\n\r\n";
  EXPECT_EQ(scene.asked, asked + asked);
  EXPECT_EQ(scene.records[0].received, kValue.size() + 2);
}

TEST(Http1Filter, AHostWithASecretMayHavePlaceholdersInBodiesAndNotInTrailers) {
  Scene scene;
  scene.answer({kOk, kOk});
  const std::string post =
      "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto heard = scene.ask(post + "13\r\ncapsem-secret-OTHER\r\n0\r\n\r\n" + post +
                               "1\r\nx\r\n0\r\nX: capsem-secret-OTHER\r\n\r\n");
  EXPECT_THAT(heard, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(heard, HasSubstr("HTTP/1.1 403 "));
  EXPECT_THAT(heard, HasSubstr("'OTHER' is in the header 'X'"));
}

TEST(Http1Filter, APlaceholderInABodyEndsTheRequest) {
  Scene scene;
  scene.answer({kOk});
  const std::string body = "x=1&y=capsem-secret-OTHER";
  const auto heard = scene.ask("POST /other HTTP/1.1\r\nHost: a.example\r\nContent-Length: " +
                               std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_THAT(heard, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(heard, HasSubstr("the placeholder of the secret 'OTHER' is in the body"));
  EXPECT_THAT(scene.refused, HasSubstr("'OTHER'"));
  scene.loop.run();
  EXPECT_THAT(scene.asked, Not(HasSubstr("OTHER")));
  ASSERT_EQ(scene.records.size(), 1U);
  EXPECT_EQ(scene.records[0].status, 403U);
  EXPECT_EQ(scene.records[0].decision, (Decision{Verdict::kDeny, "yes-rule"}));
}

Task<> serve_websocket(ProxyScene& scene) {
  scene.asked = co_await read_until(*scene.server, "\r\n\r\n");
  EXPECT_TRUE(co_await write(*scene.server,
                             "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                             "Upgrade: websocket\r\n\r\n[the-true-"));
  EXPECT_EQ(co_await read_to_end(*scene.server), "more");
  EXPECT_TRUE(co_await write(*scene.server, "secret]the-true-"));
  scene.server->shutdown_write();
}

TEST(Http1Filter, AWebSocketDoesNotSayTheSecretEither) {
  Scene scene;
  scene.loop.spawn(serve_websocket(scene));
  const auto heard = scene.ask(
      "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\nmore");
  EXPECT_THAT(heard, EndsWith("\r\n\r\n[" + kSeen + "]the-true-"));
  EXPECT_THAT(scene.asked, HasSubstr("X-Key: " + kValue));
  EXPECT_THAT(scene.asked, Not(HasSubstr("permessage-deflate")));
}

}  // namespace
}  // namespace capsem::host::net
