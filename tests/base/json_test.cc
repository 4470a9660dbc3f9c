#include "base/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace capsem {
namespace {

constexpr const char* kReplacement = "\xef\xbf\xbd";  // U+FFFD

TEST(Json, KeepsWhatIsUtf8) {
  EXPECT_EQ(json_string("a \xc3\xa9 \xf0\x9f\x98\x80"), "\"a \xc3\xa9 \xf0\x9f\x98\x80\"");
  EXPECT_EQ(json_string("\"\\\n"), R"("\"\\\n")");
}

TEST(Json, ReplacesWhatIsNotUtf8) {
  for (const char* bytes : {"\xff", "\x80", "\xc3", "\xed\xa0\x80", "\xed\xbf\xbf", "\xc0\xaf",
                            "\xf4\x90\x80\x80", "\xf0\x9f\x98"}) {
    auto text = json_string("a" + std::string(bytes) + "z");
    EXPECT_TRUE(text.starts_with(std::string("\"a") + kReplacement)) << text;
    EXPECT_TRUE(text.ends_with("z\"")) << text;
    EXPECT_EQ(nlohmann::json::parse(text, nullptr, false).is_string(), true) << text;
  }
}

TEST(Json, ReplacesInNamesOfMembersToo) {
  nlohmann::json value;
  value["\xff"] = "\xfe";
  auto pair = std::string("\"") + kReplacement + "\"";
  EXPECT_EQ(json_text(value), "{" + pair + ":" + pair + "}");
  nlohmann::ordered_json ordered;
  ordered["\xff"] = "\xfe";
  EXPECT_EQ(json_text(ordered), json_text(value));
}

TEST(Json, IndentsWhenAsked) {
  nlohmann::ordered_json value;
  value["b"] = 1;
  value["a"] = nlohmann::ordered_json::array();
  EXPECT_EQ(json_text(value, 2), "{\n  \"b\": 1,\n  \"a\": []\n}");
}

}  // namespace
}  // namespace capsem
