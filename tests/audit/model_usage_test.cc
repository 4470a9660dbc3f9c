#include "audit/model_usage.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <array>
#include <ostream>
#include <string>

#include "tests/audit/answers.h"

namespace capsem::audit {

void PrintTo(const ModelUsage& usage, std::ostream* out) {
  *out << usage.provider << " " << usage.model << " in " << usage.input_tokens << " cached "
       << usage.cached_input_tokens << " out " << usage.output_tokens << " tools";
  for (const auto& tool : usage.tools) *out << " " << tool;
}

namespace {

using testing::answers;
using ::testing::ElementsAre;
using ::testing::Optional;

ModelUsageReader reader_for(std::string_view content_type,
                            std::string_view host = "api.anthropic.com",
                            std::string_view path = "/v1/messages") {
  auto reader = ModelUsageReader::create(
      {.host = host, .path = path, .content_type = content_type, .content_encoding = ""});
  EXPECT_TRUE(reader);
  return std::move(*reader);
}

ModelUsageReader reader_for(const testing::Answer& answer) {
  return reader_for(answer.content_type, answer.host, answer.path);
}

TEST(ModelUsage, IsReadOfEachKnownAnswer) {
  for (const auto& answer : answers()) {
    auto reader = reader_for(answer);
    reader.feed(answer.body);
    EXPECT_THAT(reader.usage(), Optional(answer.usage)) << answer.name;
  }
}

TEST(ModelUsage, IsTheSameWhereverAnAnswerIsCut) {
  for (const auto& answer : answers()) {
    for (std::size_t cut = 0; cut <= answer.body.size(); ++cut) {
      auto reader = reader_for(answer);
      reader.feed(answer.body.substr(0, cut));
      reader.feed(answer.body.substr(cut));
      ASSERT_THAT(reader.usage(), Optional(answer.usage)) << answer.name << ", cut at " << cut;
    }
  }
}

TEST(ModelUsage, IsTheSameByteByByte) {
  for (const auto& answer : answers()) {
    auto reader = reader_for(answer);
    for (char byte : answer.body) reader.feed({&byte, 1});
    EXPECT_THAT(reader.usage(), Optional(answer.usage)) << answer.name;
  }
}

TEST(ModelUsage, OfAnAnswerThatBreaksOffIsWhatItSaidUntilThen) {
  for (const auto& answer : answers()) {
    if (answer.name != "anthropic, streamed") continue;
    auto reader = reader_for(answer);
    reader.feed(answer.body.substr(0, answer.body.find("event: message_delta")));
    auto usage = answer.usage;
    usage.output_tokens = 2;
    EXPECT_THAT(reader.usage(), Optional(usage));
  }
}

TEST(ModelUsage, OfAnErrorIsNone) {
  auto reader = reader_for("application/json");
  reader.feed(R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})");
  EXPECT_EQ(reader.usage(), std::nullopt);
}

TEST(ModelUsage, IsNotLookedForElsewhere) {
  struct Case {
    AnswerHead head;
    bool is_read;
  };
  const std::array cases = {
      Case{{"api.anthropic.com", "/v1/messages", "application/json", ""}, true},
      Case{{"api.anthropic.com", "/v1/messages", "Application/JSON ; charset=utf-8", "identity"},
           true},
      Case{{"api.anthropic.com", "/v1/messages", "application/json", "gzip"}, false},
      Case{{"api.anthropic.com", "/v1/messages", "text/html", ""}, false},
      Case{{"api.anthropic.com", "/v1/messages/count_tokens", "application/json", ""}, false},
      Case{{"api.anthropic.com.example", "/v1/messages", "application/json", ""}, false},
      Case{{"example.com", "/v1/messages", "application/json", ""}, false},
      Case{{"api.openai.com", "/v1/models", "application/json", ""}, false},
      Case{{"xaiplatform.googleapis.com", "/v1/m:generateContent", "application/json", ""}, false},
      Case{{"aiplatform.googleapis.com", "/v1/m:generateContent", "application/json", ""}, true},
  };
  for (const auto& each : cases)
    EXPECT_EQ(ModelUsageReader::create(each.head).has_value(), each.is_read)
        << each.head.host << each.head.path << " " << each.head.content_type;
}

TEST(ModelUsage, OfNumbersThatAreNoneIsNone) {
  for (const char* number : {"-1", "1.5", "1e3", "\"12\"", "null", "true", "18446744073709551615",
                             "99999999999999999999999", "{\"input_tokens\":1}", "[1]"}) {
    auto reader = reader_for("application/json");
    reader.feed(R"({"usage":{"input_tokens":)" + std::string(number) + "}}");
    EXPECT_EQ(reader.usage(), std::nullopt) << number;
  }
}

TEST(ModelUsage, ANameThatLooksLikeSeveralIsNone) {
  auto reader = reader_for("application/json");
  reader.feed(R"({"usage.input_tokens":5,"usage":{"input_tokens":3}})");
  ASSERT_TRUE(reader.usage());
  EXPECT_EQ(reader.usage()->input_tokens, 3U);
}

TEST(ModelUsage, AnEventThatIsNoJsonHidesNoOther) {
  auto reader = reader_for("text/event-stream");
  reader.feed("data: {\"broken\": nonsense\n\n: a comment\nid: 3\nretry\n\n");
  reader.feed("data:{\"type\":\"message_delta\",\ndata:\"usage\":{\"output_tokens\":9}}\n\n");
  ASSERT_TRUE(reader.usage());
  EXPECT_EQ(reader.usage()->output_tokens, 9U);
}

TEST(ModelUsage, ADeepInputOfAToolHidesNothingBehindIt) {
  auto reader = reader_for("application/json");
  reader.feed(R"({"content":[{"name":"t","input":)" + std::string(200, '[') +
              std::string(200, ']') + R"(}],"usage":{"output_tokens":9}})");
  ASSERT_TRUE(reader.usage());
  EXPECT_EQ(reader.usage()->output_tokens, 9U);
}

TEST(ModelUsage, NamesOfToolsAndModelsAreBounded) {
  auto reader = reader_for("application/json");
  std::string body = R"({"model":")" + std::string(100'000, 'm') + R"(","content":[)";
  for (int i = 0; i < 10'000; ++i)
    body += std::string(i == 0 ? "" : ",") + R"({"name":"tool )" + std::to_string(i) + "\"}";
  reader.feed(body + "]}");
  auto usage = reader.usage();
  ASSERT_TRUE(usage);
  EXPECT_LE(usage->model.size(), 128U);
  EXPECT_EQ(usage->tools.size(), 64U);
}

// What is fed 16 MiB of must not take more memory than some KiB, wherever it is cut.
TEST(ModelUsage, TakesLittleMemoryWhateverComes) {
  const std::string piece(64 << 10, 'a');
  struct Case {
    const char* name;
    std::string_view content_type;
    std::string begin;
    std::string repeated;
  };
  const std::array cases = {
      Case{"a long text", "application/json", R"({"content":[{"text":")", piece},
      Case{"a long name", "application/json", R"({")", piece},
      Case{"a long model", "application/json", R"({"model":")", piece},
      Case{"a long number", "application/json", R"({"usage":{"input_tokens":1)",
           std::string(64 << 10, '1')},
      Case{"deep arrays", "application/json", "[", std::string(64 << 10, '[')},
      Case{"white space", "application/json", "{", std::string(64 << 10, ' ')},
      Case{"a long field", "text/event-stream", "", piece},
      Case{"a long comment", "text/event-stream", ":", piece},
      Case{"much data", "text/event-stream", "data:", "data: [\n"},
      Case{"many events", "text/event-stream", "", "data: {\"a\":[1,2]}\n\n"},
  };
  for (const auto& each : cases) {
    auto reader = reader_for(each.content_type);
    reader.feed(each.begin);
    auto before = ::mallinfo2().uordblks;
    for (std::size_t fed = 0; fed < 16 << 20; fed += each.repeated.size())
      reader.feed(each.repeated);
    EXPECT_LT(::mallinfo2().uordblks, before + (32 << 10)) << each.name;
  }
}

}  // namespace
}  // namespace capsem::audit
