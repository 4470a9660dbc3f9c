#include "host/net/framed.h"

#include <gtest/gtest.h>

#include <string>

#include "base/fd.h"
#include "tests/async/loop.h"
#include "tests/host/net/loopback.h"
#include "wire/frame.h"

namespace capsem::host::net {
namespace {

std::string frame(const std::string& payload) {
  auto prefix = wire::prefix_of(static_cast<std::uint32_t>(payload.size()));
  return std::string(prefix.begin(), prefix.end()) + payload;
}

class FramedTest : public ::testing::Test {
 protected:
  // Sends `pieces` one after the other, then the end.
  void send(std::vector<std::string> pieces) { loop.spawn(send_all(std::move(pieces))); }

  Result<std::vector<std::byte>> read(std::size_t limit_bytes) {
    return loop.get(read_frame(*ours.first, limit_bytes));
  }

  async::Loop loop;
  testing::Streams ours = testing::connected(loop.executor());

 private:
  Task<> send_all(std::vector<std::string> pieces) {
    for (const auto& piece : pieces) {
      co_await testing::write(*ours.second, piece);
      co_await testing::pause(std::chrono::milliseconds(1));
    }
    ours.second->shutdown_write();
  }
};

TEST_F(FramedTest, LeavesWhatFollowsInTheStream) {
  send({frame("first") + "and the rest"});
  auto payload = read(100);
  ASSERT_TRUE(payload) << payload.error().message();
  EXPECT_EQ(as_text(*payload), "first");
  EXPECT_EQ(loop.get(testing::read_to_end(*ours.first)), "and the rest");
}

TEST_F(FramedTest, PutsPiecesTogether) {
  std::vector<std::string> pieces;
  for (char c : frame("in pieces")) pieces.emplace_back(1, c);
  send(pieces);
  auto payload = read(100);
  ASSERT_TRUE(payload) << payload.error().message();
  EXPECT_EQ(as_text(*payload), "in pieces");
}

TEST_F(FramedTest, TakesOneAtTheLimitAndNoneOverIt) {
  send({frame("12345") + frame("123456")});
  EXPECT_TRUE(read(5));
  auto refused = read(5);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
}

TEST_F(FramedTest, RefusesALengthBeforeItTakesMemoryForIt) {
  send({"\xFF\xFF\xFF\xFF"});
  auto refused = read(1000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
}

TEST_F(FramedTest, SaysThatTheStreamEndedBefore) {
  const std::string whole = frame("cut short");
  for (std::size_t size : {std::size_t{0}, std::size_t{3}, std::size_t{4}, whole.size() - 1}) {
    ours = testing::connected(loop.executor());
    send({whole.substr(0, size)});
    auto ended = read(100);
    ASSERT_FALSE(ended) << size;
    EXPECT_EQ(ended.error().kind(), ErrorKind::kClosed) << size;
    loop.run();
  }
}

TEST(AddressOfBytes, TakesFourAndSixteen) {
  EXPECT_EQ(address_of_bytes("\x5D\xB8\xD8\x22").value().to_string(), "93.184.216.34");
  std::string six(16, '\0');
  six[0] = '\x20';
  six[1] = '\x01';
  six[15] = '\x05';
  EXPECT_EQ(address_of_bytes(six).value().to_string(), "2001::5");
  for (std::size_t size : {0, 1, 3, 5, 15, 17, 4096})
    EXPECT_FALSE(address_of_bytes(std::string(size, 'a'))) << size;
}

}  // namespace
}  // namespace capsem::host::net
