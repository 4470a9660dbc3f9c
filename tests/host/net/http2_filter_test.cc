// Secrets in requests of HTTP/2, and what comes back of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/host/net/http2_scene.h"
#include "tests/host/net/secret_judge.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::HasSubstr;

struct SecretScene {
  std::string refused;
  Http2Scene scene{{.judge = with_secret(refused)}};
};

TEST(Http2Filter, TheSecretGoesOutAndDoesNotComeBack) {
  SecretScene with;
  auto& scene = with.scene;
  scene.answers = false;
  const auto stream = scene.client->request(scene.get("/", {{"x-key", kSeen}}));
  scene.until([&] { return scene.server->streams[1].ended; });
  EXPECT_EQ(value_of(scene.server->streams[1].heads[0], "x-key"), kValue);
  EXPECT_EQ(value_of(scene.server->streams[1].heads[0], "accept-encoding"), "identity");
  scene.server->answer(1, {{":status", "200"}, {"x-echo", kValue}}, "<the-true-", false,
                       {{"x-end", kValue}});
  scene.until([&] { return scene.client->streams[stream].body == "<"; });
  scene.server->more(1, "secret>the-true-", true);
  scene.until([&] { return scene.client->streams[stream].closed; });
  const auto& answer = scene.client->streams[stream];
  EXPECT_EQ(answer.body, "<" + kSeen + ">the-true-");
  EXPECT_EQ(value_of(answer.heads.front(), "x-echo"), kSeen);
  EXPECT_EQ(value_of(answer.heads.back(), "x-end"), kSeen);
  EXPECT_EQ(answer.error, 0U);
  EXPECT_EQ(scene.records.at(0).received, kValue.size() + 11);
}

TEST(Http2Filter, APlaceholderInABodyEndsTheRequestAlone) {
  SecretScene with;
  auto& scene = with.scene;
  scene.answers = false;
  const auto other = scene.client->request(scene.get("/other"));
  const auto at_once = scene.client->request(scene.of("POST", "/other"), "x=capsem-secret-OTHER");
  const auto later = scene.client->request(scene.of("POST", "/other"), "x=capsem-sec", false);
  scene.until([&] { return scene.client->streams[at_once].closed; });
  EXPECT_EQ(scene.client->streams[at_once].status(), "403");
  EXPECT_THAT(scene.client->streams[at_once].body, HasSubstr("'OTHER' is in the body"));
  EXPECT_THAT(with.refused, HasSubstr("'OTHER'"));
  scene.client->more(later, "ret-OTHER", true);
  scene.until([&] { return scene.client->streams[later].closed; });
  EXPECT_EQ(scene.client->streams[later].status(), "403");
  for (const auto& [stream, asked] : scene.server->streams)
    EXPECT_THAT(asked.body, ::testing::Not(HasSubstr("OTHER"))) << stream;
  scene.server->answer(1, {{":status", "200"}}, "ok");
  scene.until([&] { return scene.client->streams[other].closed; });
  EXPECT_EQ(scene.client->streams[other].body, "ok");
  EXPECT_EQ(scene.records.at(0).decision, (Decision{Verdict::kDeny, "yes-rule"}));
}

}  // namespace
}  // namespace capsem::host::net
