#include "guest/net-proxy/relay.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <vector>

#include "base/fd.h"

namespace capsem::guest::net_proxy {
namespace {

class DirectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto one = socket_pair();
    auto other = socket_pair();
    ASSERT_TRUE(one && other);
    sender_ = std::move(one->first);
    from_ = std::move(one->second);
    to_ = std::move(other->first);
    receiver_ = std::move(other->second);
  }

  bool move() { return direction_.move(from_.get(), to_.get(), scratch_, back_); }

  void send(const std::string& text) {
    ASSERT_EQ(::send(sender_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  // All that has arrived; "end" behind it when that is all there will be.
  std::string received() {
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
      auto n = ::recv(receiver_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n == 0) return text + "end";
      if (n < 0) return text;
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }

  // Until no more is taken. How much that was.
  std::size_t fill() {
    std::size_t taken = 0;
    const std::string piece(8192, 'x');
    while (!direction_.waits_to_write()) {
      auto n = ::send(sender_.get(), piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) taken += static_cast<std::size_t>(n);
      EXPECT_TRUE(move());
    }
    return taken;
  }

  Direction direction_, back_;
  Fd sender_, from_, to_, receiver_;
  std::vector<std::byte> scratch_ = std::vector<std::byte>(4096);
};

TEST_F(DirectionTest, HandsOnWhatComesAndTheEnd) {
  EXPECT_TRUE(move());
  EXPECT_EQ(received(), "");
  send("one");
  EXPECT_TRUE(move());
  EXPECT_EQ(received(), "one");
  send("two");
  ::shutdown(sender_.get(), SHUT_WR);
  EXPECT_TRUE(move());
  EXPECT_TRUE(direction_.is_over());
  EXPECT_EQ(received(), "twoend");
}

TEST_F(DirectionTest, WritesFirstWhatWasPut) {
  direction_.put(as_bytes("before "));
  EXPECT_TRUE(direction_.waits_to_write());
  send("after");
  EXPECT_TRUE(move());
  EXPECT_EQ(received(), "before after");
}

TEST_F(DirectionTest, ReadsNoMoreThanIsTakenAndLosesNothing) {
  auto taken = fill();
  EXPECT_FALSE(direction_.waits_to_read());
  ::shutdown(sender_.get(), SHUT_WR);
  std::size_t arrived = 0;
  for (bool ended = false; !ended;) {
    auto text = received();
    ended = text.ends_with("end");
    arrived += text.size() - (ended ? 3 : 0);
    ASSERT_TRUE(move());
  }
  EXPECT_EQ(arrived, taken);
}

// As vsock(7) tells of a reset, once what came before it was read.
TEST_F(DirectionTest, ASideThatEndsAndReadsNoMoreIsAnErrorAndNoEnd) {
  send("one");
  sender_.reset();
  EXPECT_FALSE(move());
  EXPECT_FALSE(direction_.is_over());
  EXPECT_EQ(received(), "one");
}

TEST_F(DirectionTest, ASideThatWasToldOfTheEndMayGo) {
  ::shutdown(receiver_.get(), SHUT_WR);
  EXPECT_TRUE(back_.move(to_.get(), from_.get(), scratch_, direction_));
  ASSERT_TRUE(back_.is_over());
  sender_.reset();
  EXPECT_TRUE(move());
  EXPECT_EQ(received(), "end");
}

TEST_F(DirectionTest, ASideThatIsGoneIsAnError) {
  receiver_.reset();
  send("x");
  EXPECT_FALSE(move());
}

}  // namespace
}  // namespace capsem::guest::net_proxy
