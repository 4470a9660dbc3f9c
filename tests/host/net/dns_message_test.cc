#include "host/net/dns_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/host/net/dns_tools.h"

namespace capsem::host::net {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;  // NOLINT(google-build-using-namespace): strings with zeros

Message join(const Message& a, std::string_view b) {
  auto whole = a;
  auto more = message_of(b);
  whole.insert(whole.end(), more.begin(), more.end());
  return whole;
}

// A header that says how many of each follow.
std::string header(char questions, char answers = 0, char authorities = 0, char additional = 0,
                   const std::string& flags = "\x01\x00"s) {
  std::string text = "\x12\x34"s + flags;
  for (char count : {questions, answers, authorities, additional}) text += "\0"s + count;
  return text;
}

const std::string kExample = "\7example\3org\0"s;
const std::string kTypeAndClass = "\0\1\0\1"s;
const std::string kOpt = "\0\0\x29\x04\xD0\0\0\0\0\0\0"s;

ResponseCode problem_of(std::string_view text) {
  auto query = read_query(message_of(text));
  EXPECT_TRUE(query);
  return query ? query->problem : ResponseCode::kNoError;
}

DnsAnswer with_addresses(std::size_t count) {
  DnsAnswer answer{.ttl_seconds = 60};
  for (std::size_t i = 0; i < count; ++i)
    answer.addresses.push_back(boost::asio::ip::make_address("192.0.2." + std::to_string(i + 1)));
  return answer;
}

TEST(DnsMessage, ReadsAQuestion) {
  auto query = read_query(question("WWW.Example.org", RecordType::kAaaa));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->problem, ResponseCode::kNoError);
  EXPECT_EQ(query->id, 0x1234);
  EXPECT_EQ(query->name, "www.example.org");
  EXPECT_TRUE(query->is_host_name);
  EXPECT_EQ(query->type, RecordType::kAaaa);
  EXPECT_TRUE(query->recursion_desired);
  EXPECT_FALSE(query->edns);
}

TEST(DnsMessage, ReadsWhatTheClientTakesOverUdp) {
  auto query = read_query(question("example.org", RecordType::kA, 4096));
  ASSERT_TRUE(query && query->edns);
  EXPECT_EQ(query->edns->udp_bytes, 4096);
}

TEST(DnsMessage, SkipsOptionsOfEdns) {
  const auto cookie = "\0\0\x29\x04\xD0\0\0\x80\0\0\x0C\0\x0A\0\x08"s + "12345678";
  auto query = read_query(message_of(header(1, 0, 0, 1) + kExample + kTypeAndClass + cookie));
  ASSERT_TRUE(query && query->edns);
  EXPECT_EQ(query->problem, ResponseCode::kNoError);
  EXPECT_TRUE(query->edns->dnssec_ok);
}

TEST(DnsMessage, RefusesWhatIsMalformed) {
  const auto whole = header(1) + kExample + kTypeAndClass;
  ASSERT_EQ(problem_of(whole), ResponseCode::kNoError);
  std::string long_name;
  for (int i = 0; i < 4; ++i) long_name += '\x3F' + std::string(63, 'a');
  const std::vector<std::pair<const char*, std::string>> rows{
      {"pointer in the question", header(1) + "\xC0\x0C"s + kTypeAndClass},
      {"pointer behind a label", header(1) + "\3www\xC0\x0C"s + kTypeAndClass},
      {"label of an unknown kind",
       header(1) + "\x41"s + std::string(65, 'a') + "\0"s + kTypeAndClass},
      {"name of 257 bytes", header(1) + long_name + "\0"s + kTypeAndClass},
      {"trailing byte", whole + "x"},
      {"no question", header(0)},
      {"two questions", header(2) + kExample + kTypeAndClass + kExample + kTypeAndClass},
      {"two questions announced", header(2) + kExample + kTypeAndClass},
      {"an answer", header(1, 1) + kExample + kTypeAndClass},
      {"an authority", header(1, 0, 1) + kExample + kTypeAndClass},
      {"OPT announced", header(1, 0, 0, 1) + kExample + kTypeAndClass},
      {"OPT not announced", whole + kOpt},
      {"two OPT", header(1, 0, 0, 2) + kExample + kTypeAndClass + kOpt + kOpt},
      {"OPT with a name", header(1, 0, 0, 1) + kExample + kTypeAndClass + "\1"s + kOpt.substr(1)},
      {"another record",
       header(1, 0, 0, 1) + kExample + kTypeAndClass + "\0\0\x10\0\1\0\0\0\0\0\0"s},
      {"option cut short",
       header(1, 0, 0, 1) + kExample + kTypeAndClass + "\0\0\x29\x04\xD0\0\0\0\0\0\4\0\x0A\0\x08"s},
      {"truncated", header(1, 0, 0, 0, "\x03\x00"s) + kExample + kTypeAndClass},
      {"too long", header(1, 0, 0, 1) + kExample + kTypeAndClass +
                       "\0\0\x29\x04\xD0\0\0\0\0\x20\4\0\x0C\x20\0"s + std::string(0x2000, 'x')},
  };
  for (const auto& [what, text] : rows)
    EXPECT_EQ(problem_of(text), ResponseCode::kFormatError) << what;
  for (std::size_t size = 12; size < whole.size(); ++size)
    EXPECT_EQ(problem_of(whole.substr(0, size)), ResponseCode::kFormatError) << size;
}

TEST(DnsMessage, TakesTheLongestName) {
  std::string longest;
  for (int i = 0; i < 3; ++i) longest += '\x3F' + std::string(63, 'a');
  longest += '\x3D' + std::string(61, 'a') + "\0"s;
  ASSERT_EQ(longest.size(), 255U);
  auto query = read_query(message_of(header(1) + longest + kTypeAndClass));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->problem, ResponseCode::kNoError);
  EXPECT_EQ(query->name.size(), 253U);
  EXPECT_TRUE(query->is_host_name);
}

TEST(DnsMessage, SaysWhatItDoesNotDo) {
  const auto body = kExample + kTypeAndClass;
  EXPECT_EQ(problem_of(header(1, 0, 0, 0, "\x21\x00"s) + body), ResponseCode::kNotImplemented);
  EXPECT_EQ(problem_of(header(1) + kExample + "\0\1\0\3"s), ResponseCode::kRefused);  // CHAOS
  const auto version_1 = "\0\0\x29\x04\xD0\0\1\0\0\0\0"s;
  auto query = read_query(message_of(header(1, 0, 0, 1) + body + version_1));
  ASSERT_TRUE(query);
  ASSERT_EQ(query->problem, ResponseCode::kBadVersion);
  auto answer = write_answer(*query, {.code = query->problem}, Transport::kUdp);
  EXPECT_EQ(read_reply(answer).code, 0U);
  ASSERT_EQ(answer.size(), 12 + body.size() + 11);
  EXPECT_EQ(answer[answer.size() - 6], std::byte{1}) << "the upper bits of the code";
}

TEST(DnsMessage, DoesNotAnswerAnswers) {
  EXPECT_FALSE(read_query(message_of(header(1, 0, 0, 0, "\x81\x00"s) + kExample + kTypeAndClass)));
  EXPECT_FALSE(read_query(message_of("\x12\x34\1\0\0\1\0\0\0\0\0"s)));
  EXPECT_FALSE(read_query({}));
}

TEST(DnsMessage, BytesThatNoHostHasAreToldAsTheyAre) {
  auto query = read_query(message_of(header(1) + "\3a.b\3C\0d\0"s + kTypeAndClass));
  ASSERT_TRUE(query);
  EXPECT_EQ(query->problem, ResponseCode::kNoError);
  EXPECT_EQ(query->name, "a\\046b.c\\000d");
  EXPECT_FALSE(query->is_host_name);
  EXPECT_FALSE(read_query(question("127.0.0.1", RecordType::kA))->is_host_name);
  EXPECT_FALSE(read_query(message_of(header(1) + "\0\0\2\0\1"s))->is_host_name) << "the root";
}

TEST(DnsMessage, AnswersWithAddresses) {
  auto query = read_query(question("ExAmPle.org", RecordType::kA, 1232));
  auto message = write_answer(*query, with_addresses(2), Transport::kUdp);
  auto reply = read_reply(message);
  EXPECT_EQ(reply.code, 0U);
  EXPECT_EQ(reply.ttl, 60U);
  EXPECT_THAT(reply.addresses, ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_THAT(reply.owners, Each("ExAmPle.org")) << "the case of the question";
  EXPECT_EQ(message[0], std::byte{0x12});
  EXPECT_EQ(message[1], std::byte{0x34});
}

TEST(DnsMessage, AnswersWithTheChainOfNames) {
  auto query = read_query(question("www.example.org", RecordType::kAaaa));
  DnsAnswer answer{.aliases = {"cdn.example.net", "edge.example.com"},
                   .addresses = {boost::asio::ip::make_address("2001:db8::1"),
                                 boost::asio::ip::make_address("192.0.2.1")},
                   .ttl_seconds = 5};
  auto reply = read_reply(write_answer(*query, answer, Transport::kUdp));
  EXPECT_THAT(reply.addresses, ElementsAre("2001:db8::1")) << "those of the type asked alone";
  EXPECT_THAT(reply.owners, ElementsAre("www.example.org", "cdn.example.net", "edge.example.com"));
  EXPECT_THAT(reply.aliases, ElementsAre("cdn.example.net", "edge.example.com"));
}

TEST(DnsMessage, WhatIsTooLargeForUdpIsTruncated) {
  struct Row {
    int udp_bytes;
    std::size_t addresses;
    bool truncated;
  };
  for (auto row : {Row{0, 30, false}, Row{0, 31, true}, Row{100, 29, false}, Row{600, 34, false},
                   Row{600, 36, true}, Row{65535, 74, false}, Row{65535, 76, true}}) {
    auto query = read_query(question("example.org", RecordType::kA, row.udp_bytes));
    auto message = write_answer(*query, with_addresses(row.addresses), Transport::kUdp);
    auto reply = read_reply(message);
    EXPECT_EQ(reply.truncated, row.truncated) << row.udp_bytes << " " << row.addresses;
    EXPECT_EQ(reply.records, row.truncated ? 0 : row.addresses);
    EXPECT_LE(message.size(), std::max(512, std::min(row.udp_bytes, 1232)));
    auto whole = read_reply(write_answer(*query, with_addresses(row.addresses), Transport::kTcp));
    EXPECT_FALSE(whole.truncated);
    EXPECT_EQ(whole.records, row.addresses);
  }
}

TEST(DnsMessage, AnAnswerHasABound) {
  auto query = read_query(question("example.org", RecordType::kA));
  DnsAnswer answer = with_addresses(100);
  for (int i = 0; i < 4; ++i)
    answer.addresses.insert(answer.addresses.end(), answer.addresses.begin(),
                            answer.addresses.begin() + 100);
  answer.aliases.assign(100, std::string(63, 'a') + ".example.org");
  auto message = write_answer(*query, answer, Transport::kTcp);
  EXPECT_EQ(read_reply(message).records, kMaxAliases + kMaxAddresses);
}

TEST(DnsMessage, ExplainsToWhoUnderstands) {
  DnsAnswer answer{.code = ResponseCode::kNameError,
                   .explanation = DnsAnswer::Explanation{ExtendedError::kBlocked, "no rule"}};
  auto with = write_answer(*read_query(question("example.org", RecordType::kA, 1232)), answer,
                           Transport::kUdp);
  auto without =
      write_answer(*read_query(question("example.org", RecordType::kA)), answer, Transport::kUdp);
  EXPECT_EQ(read_reply(with).code, 3U);
  std::string text(reinterpret_cast<const char*>(with.data()), with.size());
  EXPECT_THAT(text, HasSubstr("\0\x0D\0\x0F\0\x09\0\x0Fno rule"s));
  EXPECT_EQ(without.size(), question("example.org", RecordType::kA).size());
}

TEST(DnsMessage, AMalformedQuestionIsAnsweredWithoutIt) {
  auto query = read_query(message_of(header(1) + "\xC0\x0C"s + kTypeAndClass));
  auto reply = read_reply(write_answer(*query, {.code = query->problem}, Transport::kUdp));
  EXPECT_EQ(reply.code, 1U);
  EXPECT_EQ(reply.questions, 0U);
  auto trailing = read_query(join(question("example.org", RecordType::kA), "x"));
  EXPECT_EQ(trailing->problem, ResponseCode::kFormatError);
}

}  // namespace
}  // namespace capsem::host::net
