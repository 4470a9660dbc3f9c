#include "host/net/placeholders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "host/net/secret_text.h"

namespace capsem::host::net {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

const std::string kPlaceholder = "capsem-secret-API_KEY";

Secret secret(std::string name, Secret::Place place, std::string field) {
  return {.name = std::move(name),
          .place = place,
          .field = std::move(field),
          .prefix = {},
          .user = {},
          .source = {}};
}
const std::vector kSecrets = {secret("API_KEY", Secret::Place::kHeader, "X-Key"),
                              secret("OTHER", Secret::Place::kQuery, "key")};

PlainRequest request(std::string target, HttpField field = {"Accept", "*/*"}) {
  PlainRequest request;
  request.head.method = "GET";
  request.head.fields.add(std::move(field.name), std::move(field.value));
  request.target.sent = std::move(target);
  return request;
}

std::optional<std::string> find(const PlainRequest& request, bool own = false) {
  return Placeholders(kSecrets).find_in_head(request,
                                             own ? std::span(kSecrets) : std::span<const Secret>());
}

TEST(Placeholders, FindsOneWhereverItIsInAHead) {
  struct Row {
    const char* what;
    PlainRequest request;
    const char* where;
  };
  const auto encoded = [](const std::string& before) {
    return "Basic " + base64(before + kPlaceholder + ":x");
  };
  std::string all_percent;
  for (char c : kPlaceholder) {
    const auto digits = percent_encoded(std::string(1, static_cast<char>(c | 0x80)));
    all_percent += '%';
    all_percent += static_cast<char>(digits[1] - 8 - (digits[1] > '9' ? 7 : 0));
    all_percent += digits[2];
  }
  ASSERT_EQ(percent_decoded(all_percent), kPlaceholder);
  const Row rows[] = {
      {"header", request("/", {"X-Other", kPlaceholder}), "the header 'X-Other'"},
      {"within a value", request("/", {"Cookie", "a=" + kPlaceholder + ";b"}), "'Cookie'"},
      {"header's name", request("/", {kPlaceholder, "1"}), "the header"},
      {"path", request("/" + kPlaceholder), "the target"},
      {"query", request("/?a=" + kPlaceholder), "the target"},
      {"percent", request("/?a=" + all_percent), "the target"},
      {"percent twice", request("/?a=%25" + all_percent.substr(1)), "the target"},
      {"base64", request("/", {"Authorization", encoded("")}), "'Authorization'"},
      {"base64 + 1", request("/", {"Authorization", encoded("u")}), "'Authorization'"},
      {"base64 + 2", request("/", {"Authorization", encoded("u:")}), "'Authorization'"},
      {"base64 in a URL", request("/?a=" + percent_encoded(encoded("us"))), "the target"},
  };
  for (const auto& row : rows) {
    auto found = find(row.request);
    ASSERT_TRUE(found) << row.what;
    EXPECT_THAT(*found, HasSubstr("'API_KEY'")) << row.what;
    EXPECT_THAT(*found, HasSubstr(row.where)) << row.what;
  }
}

TEST(Placeholders, FindsNoneWhereNoneIs) {
  EXPECT_FALSE(find(request("/capsem-secret-API?a=b", {"X", "capsem-secret-api_key"})));
}

TEST(Placeholders, DoesNotMindThePlacesThatTheRuleSets) {
  EXPECT_FALSE(find(request("/", {"x-key", kPlaceholder}), true));
  EXPECT_FALSE(find(request("/?a=1&k%65y=capsem-secret-OTHER"), true));
  EXPECT_THAT(find(request("/?a=capsem-secret-OTHER"), true), Optional(HasSubstr("'OTHER'")));
  EXPECT_THAT(find(request("/", {"x-key-2", kPlaceholder}), true),
              Optional(HasSubstr("'API_KEY'")));
}

TEST(Placeholders, FindsOneInABodyHoweverItIsCut) {
  const auto all = std::make_shared<Placeholders>(kSecrets);
  const auto body = "text before " + kPlaceholder + " and behind";
  for (std::size_t size = 1; size <= body.size(); ++size) {
    Placeholders::BodySearch search(all);
    std::optional<std::string> found;
    for (std::size_t at = 0; at < body.size() && !found; at += size)
      found = search.next(std::string_view(body).substr(at, size));
    EXPECT_THAT(found, Optional(HasSubstr("in the body"))) << size;
  }
}

TEST(SecretText, IsSetInPlaceOfWhatWasThere) {
  auto asked = request("/p?key=old&a=b&key=c", {"x-KEY", "old"});
  set_place(asked, kSecrets[0], "v1");
  set_place(asked, kSecrets[1], "v/2");
  EXPECT_EQ(asked.target.sent, "/p?a=b&key=v%2F2");
  EXPECT_EQ(asked.head.fields.text(), "X-Key: v1\r\n");

  auto bearer = secret("A", Secret::Place::kHeader, "Authorization");
  bearer.prefix = "Bearer ";
  auto basic = bearer;
  basic.prefix = "";
  basic.user = "Aladdin";  // RFC 7617, 2
  auto other = request("/p", {"Authorization", "x"});
  set_place(other, bearer, "key");
  EXPECT_EQ(other.head.fields.text(), "Authorization: Bearer key\r\n");
  set_place(other, basic, "open sesame");
  EXPECT_EQ(other.head.fields.text(), "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
  set_place(other, kSecrets[1], "k");
  EXPECT_EQ(other.target.sent, "/p?key=k");
  auto star = request("*");
  set_place(star, kSecrets[1], "k");
  EXPECT_EQ(star.target.sent, "*");
}

}  // namespace
}  // namespace capsem::host::net
