#include "host/net/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace capsem::host::net {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address address(const char* text) {
  return boost::asio::ip::make_address(text);
}

TEST(Answers, KnowTheNamesOfAnAddress) {
  Answers answers;
  const Answers::Time now{};
  answers.add("a.example", std::array{address("192.0.2.1"), address("2001:db8::1")}, seconds(60),
              now);
  answers.add("b.example", std::array{address("192.0.2.1")}, seconds(60), now);
  EXPECT_TRUE(answers.given("a.example", address("192.0.2.1"), now));
  EXPECT_TRUE(answers.given("a.example", address("2001:db8::1"), now));
  EXPECT_FALSE(answers.given("b.example", address("2001:db8::1"), now));
  EXPECT_FALSE(answers.given("c.example", address("192.0.2.1"), now));
  EXPECT_THAT(answers.names_of(address("192.0.2.1"), now), ElementsAre("a.example", "b.example"));
  EXPECT_THAT(answers.names_of(address("192.0.2.2"), now), IsEmpty());
}

TEST(Answers, AMappedAddressIsTheSame) {
  Answers answers;
  const Answers::Time now{};
  answers.add("a.example", std::array{address("192.0.2.1")}, seconds(60), now);
  EXPECT_TRUE(answers.given("a.example", address("::ffff:192.0.2.1"), now));
  answers.add("b.example", std::array{address("::ffff:192.0.2.2")}, seconds(60), now);
  EXPECT_THAT(answers.names_of(address("192.0.2.2"), now), ElementsAre("b.example"));
}

TEST(Answers, EndAfterTheirTimeAndAGrace) {
  Answers answers;
  const Answers::Time now{};
  answers.add("a.example", std::array{address("192.0.2.1")}, seconds(60), now);
  const auto end = now + seconds(60) + Answers::kGrace;
  EXPECT_TRUE(answers.given("a.example", address("192.0.2.1"), end - seconds(1)));
  EXPECT_FALSE(answers.given("a.example", address("192.0.2.1"), end));
  EXPECT_THAT(answers.names_of(address("192.0.2.1"), end), IsEmpty());
  answers.add("b.example", std::array{address("192.0.2.2")}, seconds(60), end);
  EXPECT_EQ(answers.size(), 1U) << "what has ended is forgotten";
}

TEST(Answers, ASecondOneProlongsAndNeverShortens) {
  Answers answers;
  const Answers::Time now{};
  const std::array one{address("192.0.2.1")};
  answers.add("a.example", one, seconds(60), now);
  answers.add("a.example", one, seconds(600), now);
  answers.add("a.example", one, seconds(1), now);
  EXPECT_EQ(answers.size(), 1U);
  EXPECT_TRUE(answers.given("a.example", one[0], now + seconds(599) + Answers::kGrace));
}

TEST(Answers, AreBounded) {
  Answers answers(4);
  const Answers::Time now{};
  answers.add("short.example", std::array{address("192.0.2.9")}, seconds(1), now);
  for (const char* name : {"a", "b", "c", "d"})
    answers.add(name, std::array{address("192.0.2.1")}, seconds(60), now);
  EXPECT_EQ(answers.size(), 4U);
  EXPECT_FALSE(answers.given("short.example", address("192.0.2.9"), now));
  EXPECT_THAT(answers.names_of(address("192.0.2.1"), now), ElementsAre("a", "b", "c", "d"));
}

}  // namespace
}  // namespace capsem::host::net
