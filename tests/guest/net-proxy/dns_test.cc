#include "guest/net-proxy/dns.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/fd.h"

namespace capsem::guest::net_proxy {
namespace {

using namespace std::string_literals;

// id 0x1234, recursion desired, one question: example.com, type A, class IN.
const std::string kHeader = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"s;
const std::string kQuestion =
    "\x07"
    "example\x03"
    "com\x00\x00\x01\x00\x01"s;

std::string answer_to(std::string_view query) {
  auto answer = server_failure(as_bytes(query));
  return answer ? std::string(as_text(*answer)) : "nothing";
}

std::string with(std::string query, std::size_t at, char value) {
  query[at] = value;
  return query;
}

TEST(ServerFailure, RepeatsTheQuestionWithRcode2) {
  EXPECT_EQ(answer_to(kHeader + kQuestion),
            "\x12\x34\x81\x02\x00\x01\x00\x00\x00\x00\x00\x00"s + kQuestion);
}

TEST(ServerFailure, LeavesOutTheRecordsAfterTheQuestion) {
  // An EDNS record, counted as additional.
  auto query = with(kHeader, 11, 1) + kQuestion + "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"s;
  EXPECT_EQ(answer_to(query), "\x12\x34\x81\x02\x00\x01\x00\x00\x00\x00\x00\x00"s + kQuestion);
}

TEST(ServerFailure, TakesTheRootAndTheLongestName) {
  EXPECT_NE(answer_to(kHeader + "\x00\x00\x02\x00\x01"s), "nothing");
  std::string name;
  for (int i = 0; i < 3; ++i) name += "\x3f" + std::string(63, 'a');
  name += "\x3d" + std::string(61, 'a') + "\0"s;
  ASSERT_EQ(name.size(), 255u);
  EXPECT_NE(answer_to(kHeader + name + "\x00\x01\x00\x01"s), "nothing");
}

TEST(ServerFailure, IsSilentAboutANameThatIsTooLong) {
  std::string name;
  for (int i = 0; i < 4; ++i) name += "\x3f" + std::string(63, 'a');
  EXPECT_EQ(answer_to(kHeader + name + "\x00\x00\x01\x00\x01"s), "nothing");
}

TEST(ServerFailure, IsSilentAboutEveryTruncation) {
  auto query = kHeader + kQuestion;
  for (std::size_t size = 0; size < query.size(); ++size)
    EXPECT_EQ(answer_to(query.substr(0, size)), "nothing") << size;
}

TEST(ServerFailure, IsSilentAboutWhatIsNoQuery) {
  auto query = kHeader + kQuestion;
  EXPECT_EQ(answer_to(with(query, 2, '\x81')), "nothing") << "a response";
  EXPECT_EQ(answer_to(with(query, 2, '\x29')), "nothing") << "an update";
  EXPECT_EQ(answer_to(with(query, 5, '\x00')), "nothing") << "no question";
  EXPECT_EQ(answer_to(with(query, 5, '\x02')), "nothing") << "two questions";
}

TEST(ServerFailure, IsSilentAboutLabelsThatAreNone) {
  // Each is followed by all that a label of that length would need.
  for (unsigned char length : {0x40, 0x80, 0xc0, 0xff}) {
    auto name = std::string(1, static_cast<char>(length)) + std::string(length, 'a') + "\0"s;
    EXPECT_EQ(answer_to(kHeader + name + "\x00\x01\x00\x01"s), "nothing") << int{length};
  }
}

}  // namespace
}  // namespace capsem::guest::net_proxy
