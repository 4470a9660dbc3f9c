#include "host/net/request_secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "async/task_group.h"
#include "base/file.h"
#include "host/net/command_output.h"
#include "tests/async/loop.h"
#include "tests/temporary_directory.h"

namespace capsem::host::net {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

SecretSource source(SecretSource::Kind kind, std::vector<std::string> words,
                    std::chrono::seconds cache = std::chrono::seconds(300)) {
  return {.kind = kind, .words = std::move(words), .cache = cache};
}

Task<> ask(SecretValues& values, SecretSource from, std::vector<std::string>& to) {
  auto value = co_await values.read(std::move(from));
  to.push_back(value ? *value : value.error().message());
}

class SecretValuesTest : public ::testing::Test {
 protected:
  std::string value(const SecretSource& from) {
    auto read = loop.get(values.read(from));
    return read ? *read : "error: " + read.error().message();
  }
  // A command that counts how often it ran.
  SecretSource counting(std::chrono::seconds cache) {
    return source(
        SecretSource::Kind::kCommand,
        {"sh", "-c", "echo x >> \"$0\"; echo secret-$(wc -l < \"$0\")", directory / "ran"}, cache);
  }

  capsem::testing::TemporaryDirectory directory;
  async::Loop loop;
  SecretValues values{loop.executor()};
};

TEST_F(SecretValuesTest, ComeFromTheEnvironmentAFileAndACommand) {
  ::setenv("CAPSEM_TEST_KEY", "of-the-environment", 1);
  EXPECT_EQ(value(source(SecretSource::Kind::kEnvironment, {"CAPSEM_TEST_KEY"})),
            "of-the-environment");
  ::unsetenv("CAPSEM_TEST_KEY");
  EXPECT_THAT(value(source(SecretSource::Kind::kEnvironment, {"CAPSEM_TEST_KEY"})),
              HasSubstr("the command that started the VM had none"));
  const auto file = directory / "key";
  ASSERT_TRUE(write_file_atomically(file, "of-the-file\n", 0600));
  EXPECT_EQ(value(source(SecretSource::Kind::kFile, {file})), "of-the-file");
  EXPECT_EQ(value(source(SecretSource::Kind::kCommand, {"printf", "%s\\r\\n", "of the command"})),
            "of the command");
}

TEST_F(SecretValuesTest, WhatCanBeNoneIsRefusedInWords) {
  const auto of = [&](std::string text) {
    return value(source(SecretSource::Kind::kCommand, {"printf", "%b", std::move(text)}));
  };
  EXPECT_THAT(of("short"), HasSubstr("fewer than 8"));
  EXPECT_THAT(of(std::string(4097, 'x')), HasSubstr("more than 4096"));
  EXPECT_THAT(of(std::string(5000, 'x')), HasSubstr("too long"));
  EXPECT_THAT(of("two lines\\nof text"), HasSubstr("characters that no header may have"));
  EXPECT_THAT(value(source(SecretSource::Kind::kCommand, {"sh", "-c", "echo key-key-key; exit 3"})),
              HasSubstr("exit status 3"));
  EXPECT_THAT(value(source(SecretSource::Kind::kCommand, {"capsem-no-such-program"})),
              HasSubstr("capsem-no-such-program"));
  EXPECT_THAT(value(source(SecretSource::Kind::kFile, {directory / "none"})),
              HasSubstr("look at the file"));
}

TEST_F(SecretValuesTest, ACommandRunsOnceInItsTimeAndOnceForAllWhoAsk) {
  const auto kept = counting(std::chrono::seconds(60));
  std::vector<std::string> read;
  for (int i = 0; i < 3; ++i) loop.spawn(ask(values, kept, read));
  loop.run_until([&] { return read.size() == 3; });
  EXPECT_THAT(read, ::testing::Each("secret-1"));
  EXPECT_EQ(value(kept), "secret-1");
  values.forget();
  EXPECT_EQ(value(kept), "secret-2");
  const auto anew = counting(std::chrono::seconds(0));
  EXPECT_EQ(value(anew), "secret-3");
  EXPECT_EQ(value(anew), "secret-4");
}

TEST_F(SecretValuesTest, WhoWaitsForOneThatIsGivenUpReadsItself) {
  const auto slow =
      source(SecretSource::Kind::kCommand, {"sh", "-c", "sleep 0.2; echo slow-secret"});
  std::vector<std::string> read;
  std::vector<std::string> never;
  async::TaskGroup given_up(loop.executor());
  given_up.spawn(ask(values, slow, never));
  loop.spawn(ask(values, slow, read));
  // Long enough for the first to have begun.
  const auto begun = std::chrono::steady_clock::now() + milliseconds(50);
  loop.run_until([&] { return std::chrono::steady_clock::now() > begun; });
  given_up.cancel();
  loop.run_until([&] { return !read.empty(); });
  EXPECT_THAT(read, ::testing::ElementsAre("slow-secret"));
  EXPECT_TRUE(never.empty());
  loop.spawn(given_up.join());
  loop.run();
}

TEST_F(SecretValuesTest, ACommandThatTakesTooLongIsKilled) {
  auto output = loop.get(command_output({"sleep", "1000"}, 10, milliseconds(100)));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind(), ErrorKind::kTimeout);
}

TEST_F(SecretValuesTest, ACommandThatEndsItsOutputAndGoesOnIsKilledInTime) {
  const auto begin = std::chrono::steady_clock::now();
  auto output = loop.get(
      command_output({"sh", "-c", "echo a-secret; exec >&-; sleep 5"}, 100, milliseconds(200)));
  EXPECT_FALSE(output);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
}

TEST_F(SecretValuesTest, NothingOfACommandThatIsKilledIsLeft) {
  const auto mark = "sleep 54321." + std::to_string(::getpid());
  auto output = loop.get(command_output({"sh", "-c", mark + " | cat"}, 100, milliseconds(300)));
  EXPECT_FALSE(output);
  EXPECT_NE(std::system(("pgrep -f '^" + mark + "' >/dev/null").c_str()), 0);
}

TEST_F(SecretValuesTest, WhatACommandLeavesRunningIsNotWaitedFor) {
  auto output =
      loop.get(command_output({"sh", "-c", "sleep 2 & echo a-secret"}, 100, milliseconds(1500)));
  ASSERT_TRUE(output) << output.error().message();
  EXPECT_EQ(*output, "a-secret\n");
}

TEST_F(SecretValuesTest, AFailureIsKnownForAWhileAndToAllWhoAsk) {
  const auto failing = source(SecretSource::Kind::kCommand,
                              {"sh", "-c", "echo x >> \"$0\"; exit 1", directory / "failed"});
  std::vector<std::string> read;
  for (int i = 0; i < 3; ++i) loop.spawn(ask(values, failing, read));
  loop.run_until([&] { return read.size() == 3; });
  EXPECT_THAT(value(failing), HasSubstr("exit status 1"));
  EXPECT_EQ(read_file(directory / "failed", 100).value(), "x\n");
}

// ---- requests

constexpr const char* kPolicy =
    "[[rule]]\naction = \"allow\"\nhost = \"a.example\"\n"
    "secret = { name = \"A_KEY\", header = \"x-key\", command = [\"echo\", \"the-secret\"] }\n"
    "[[rule]]\naction = \"allow\"\nhost = \"b.example\"\n"
    "secret = { name = \"B_KEY\", query = \"key\", env = \"CAPSEM_NO_SUCH_VARIABLE\" }\n"
    "[[rule]]\naction = \"allow\"\nhost = [\"c.example\", \"api.openai.com\"]\n";

class RequestSecretsTest : public ::testing::Test {
 protected:
  RequestSecretsTest() { secrets.use(policy); }

  static PlainRequest request(std::string host, std::string target = "/", HttpField field = {}) {
    PlainRequest request;
    request.head.method = "POST";
    request.authority.host = std::move(host);
    request.target.sent = std::move(target);
    request.head.fields.add("Accept-Encoding", "gzip");
    request.head.fields.add("Range", "bytes=1-2");
    if (!field.name.empty()) request.head.fields.add(field.name, field.value);
    return request;
  }
  RequestSecrets::Prepared prepare(const PlainRequest& request, int rule, bool secure = true) {
    return loop.get(secrets.prepare(request, &policy.rules()[static_cast<std::size_t>(rule)],
                                    secure,
                                    [this](const std::string& reason) { refused = reason; }));
  }

  Policy policy = Policy::parse(kPolicy, "test").value();
  async::Loop loop;
  RequestSecrets secrets{loop.executor()};
  std::string refused;
};

TEST_F(RequestSecretsTest, TheGuestHasPlaceholders) {
  EXPECT_EQ(secrets.variables(),
            (std::map<std::string, std::string>{{"A_KEY", "capsem-secret-A_KEY"},
                                                {"B_KEY", "capsem-secret-B_KEY"}}));
  secrets.use(Policy());
  EXPECT_TRUE(secrets.variables().empty());
}

TEST_F(RequestSecretsTest, TheSecretGoesOutAndDoesNotComeBack) {
  auto asked = request("a.example", "/", {"X-Key", "capsem-secret-A_KEY"});
  auto prepared = prepare(asked, 0);
  ASSERT_TRUE(prepared.filter) << prepared.fault;
  auto& filter = *prepared.filter;
  filter.request(asked);
  EXPECT_EQ(asked.head.fields.text(), "x-key: the-secret\r\nAccept-Encoding: identity\r\n");
  EXPECT_FALSE(filter.request_body("an agent that shows capsem-secret-A_KEY to its model"));

  AnswerHead head{.status = 200, .reason = "the-secret", .fields = {}};
  head.fields.add("Location", "/?the-secret");
  filter.answer(head);
  EXPECT_EQ(head.fields.text(), "Location: /?capsem-sec\r\n");
  EXPECT_EQ(head.reason, "capsem-sec");
  EXPECT_EQ(std::string(filter.answer_body("{\"x-key\": \"the-se")), "{\"x-key\": \"");
  EXPECT_EQ(std::string(filter.answer_body("cret\"}")), "capsem-sec\"}");
  EXPECT_EQ(filter.answer_end(), "");
  HttpFields trailers;
  trailers.add("X-Echo", "the-secret");
  filter.answer_trailers(trailers);
  EXPECT_EQ(trailers.text(), "X-Echo: capsem-sec\r\n");
}

TEST_F(RequestSecretsTest, ASecretIsSentOverTlsOnly) {
  auto prepared = prepare(request("a.example"), 0, false);
  EXPECT_FALSE(prepared.filter);
  EXPECT_THAT(prepared.fault, HasSubstr("over TLS only"));
}

TEST_F(RequestSecretsTest, APlaceholderElsewhereIsRefused) {
  auto other_header = request("a.example", "/", {"X-Other", "capsem-secret-A_KEY"});
  EXPECT_THAT(prepare(other_header, 0).fault, HasSubstr("'X-Other'"));
  auto other_host = request("c.example", "/", {"X-Key", "capsem-secret-A_KEY"});
  EXPECT_THAT(prepare(other_host, 2).fault, HasSubstr("'X-Key'"));
  auto prepared = prepare(request("c.example"), 2);
  ASSERT_TRUE(prepared.filter);
  EXPECT_FALSE(prepared.filter->request_body("capsem-sec"));
  EXPECT_TRUE(prepared.filter->request_body("ret-A_KEY"));
  EXPECT_THAT(refused, HasSubstr("'A_KEY' is in the body"));
}

TEST_F(RequestSecretsTest, WhyThereIsNoneIsForTheHost) {
  auto prepared = prepare(request("b.example"), 1);
  EXPECT_FALSE(prepared.filter);
  EXPECT_EQ(prepared.status, 502U);
  EXPECT_THAT(prepared.fault, HasSubstr("CAPSEM_NO_SUCH_VARIABLE"));
  EXPECT_THAT(prepared.explanation, HasSubstr("'B_KEY'"));
  EXPECT_THAT(prepared.explanation, ::testing::Not(HasSubstr("CAPSEM_NO_SUCH_VARIABLE")));
}

TEST_F(RequestSecretsTest, WhatAModelsAnswerCostsIsRead) {
  auto asked = request("api.openai.com", "/v1/chat/completions");
  auto prepared = prepare(asked, 2);
  ASSERT_TRUE(prepared.filter);
  prepared.filter->request(asked);
  EXPECT_EQ(asked.head.fields.find("Accept-Encoding"), "identity");
  EXPECT_EQ(asked.head.fields.count("Range"), 1U);
  AnswerHead head{.status = 200, .reason = {}, .fields = {}};
  head.fields.add("Content-Type", "application/json");
  prepared.filter->answer(head);
  const std::string body =
      R"({"model":"gpt-5","usage":{"prompt_tokens":12,"completion_tokens":3}})";
  EXPECT_EQ(prepared.filter->answer_body(body), body);
  auto usage = prepared.filter->usage();
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->model, "gpt-5");
  EXPECT_EQ(usage->input_tokens, 12U);
  EXPECT_EQ(usage->output_tokens, 3U);
}

TEST_F(RequestSecretsTest, WithoutSecretsThereIsNothingToDo) {
  secrets.use(Policy());
  EXPECT_FALSE(prepare(request("c.example"), 2).filter);
}

}  // namespace
}  // namespace capsem::host::net
