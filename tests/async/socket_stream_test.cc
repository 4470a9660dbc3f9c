#include "async/socket_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

#include "base/fd.h"
#include "tests/async/loop.h"

namespace capsem::async {
namespace {

struct SocketStreamTest : testing::Test {
  SocketStreamTest() {
    auto pair = socket_pair();
    left = SocketStream::create(loop.executor(), std::move(pair->first)).value();
    right = SocketStream::create(loop.executor(), std::move(pair->second)).value();
  }

  static Task<> write(Stream& stream, std::span<const std::byte> data, Result<>& result) {
    result = co_await stream.write_all(data);
  }

  static Task<> read_to_end(Stream& stream, std::vector<std::byte>& into) {
    std::array<std::byte, 4096> buffer{};
    for (;;) {
      const Result<std::size_t> size = co_await stream.read_some(buffer);
      if (!size || *size == 0) {
        co_return;
      }
      into.insert(into.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*size));
    }
  }

  Loop loop;
  std::unique_ptr<SocketStream> left;
  std::unique_ptr<SocketStream> right;
};

TEST_F(SocketStreamTest, MoreThanTheSocketHoldsArrivesWhole) {
  std::vector<std::byte> sent(3 << 20);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    sent[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  }
  std::vector<std::byte> received;
  Result<> result;
  loop.spawn(write(*left, sent, result));
  loop.poll();
  left->shutdown_write();  // while the write waits
  loop.spawn(read_to_end(*right, received));
  loop.run();
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_TRUE(received == sent);
}

TEST_F(SocketStreamTest, RefusesAWriteAfterShutdown) {
  left->shutdown_write();
  EXPECT_FALSE(loop.get(left->write_all(as_bytes("late"))).has_value());
}

TEST_F(SocketStreamTest, ShutdownEndsOneDirectionOnly) {
  left->shutdown_write();
  std::array<std::byte, 8> buffer{};
  EXPECT_EQ(loop.get(right->read_some(buffer)).value(), 0U);
  ASSERT_TRUE(loop.get(right->write_all(as_bytes("back"))).has_value());
  EXPECT_EQ(loop.get(left->read_some(buffer)).value(), 4U);
}

TEST_F(SocketStreamTest, ResetEndsAPendingRead) {
  std::array<std::byte, 8> buffer{};
  std::optional<Result<std::size_t>> result;
  auto reader = [&]() -> Task<> {
    Result<std::size_t> size = co_await left->read_some(buffer);
    result.emplace(std::move(size));
  };
  loop.spawn(reader());
  loop.poll();
  EXPECT_FALSE(result.has_value());
  left->reset();
  loop.run();
  ASSERT_TRUE(result.has_value());
  ASSERT_FALSE(result->has_value());
  EXPECT_EQ(result->error().kind(), ErrorKind::kClosed);
}

TEST_F(SocketStreamTest, AWriteToAPeerThatIsGoneIsAnErrorAndNoSignal) {
  right.reset();
  const std::vector<std::byte> data(1 << 20);
  const Result<> result = loop.get(left->write_all(data));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().kind(), ErrorKind::kClosed);
}

TEST(SocketStream, RefusesWhatIsNoSocket) {
  Loop loop;
  auto pipe = make_pipe();
  EXPECT_FALSE(SocketStream::create(loop.executor(), std::move(pipe->first)).has_value());
}

}  // namespace
}  // namespace capsem::async
