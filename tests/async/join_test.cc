#include "async/join.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "async/socket_stream.h"
#include "base/fd.h"
#include "tests/async/loop.h"

namespace capsem::async {
namespace {

std::unique_ptr<Stream> stream(Loop& loop, Fd socket) {
  auto created = SocketStream::create(loop.executor(), std::move(socket));
  EXPECT_TRUE(created) << created.error().message();
  return std::move(*created);
}

// left <-> [a joined with b] <-> right
struct Joined {
  explicit Joined(Loop& loop) {
    auto first = socket_pair();
    auto second = socket_pair();
    left = stream(loop, std::move(first->first));
    a = stream(loop, std::move(first->second));
    b = stream(loop, std::move(second->first));
    right = stream(loop, std::move(second->second));
    loop.spawn(
        [](Joined& self) -> Task<> { self.result = co_await join(*self.a, *self.b); }(*this));
  }

  std::unique_ptr<Stream> left;
  std::unique_ptr<Stream> a;
  std::unique_ptr<Stream> b;
  std::unique_ptr<Stream> right;
  std::optional<Result<>> result;
};

Task<std::string> read_to_end(Stream& from) {
  std::string text;
  std::vector<std::byte> buffer(4096);
  for (;;) {
    auto size = co_await from.read_some(buffer);
    if (!size || *size == 0) co_return text;
    text += as_text(std::span(buffer).first(*size));
  }
}

TEST(Join, CarriesBothDirectionsAndTheirEndsApart) {
  Loop loop;
  Joined joined(loop);
  const std::string question(300'000, 'q');
  const std::string answer(300'000, 'a');
  std::string asked;
  std::string answered;
  loop.spawn([](Joined& of, const std::string& text, std::string& into) -> Task<> {
    auto sent = co_await of.left->write_all(as_bytes(text));
    EXPECT_TRUE(sent);
    of.left->shutdown_write();
    into = co_await read_to_end(*of.left);
  }(joined, question, answered));
  loop.spawn([](Joined& of, const std::string& text, std::string& into) -> Task<> {
    into = co_await read_to_end(*of.right);  // the other direction is still open
    auto sent = co_await of.right->write_all(as_bytes(text));
    EXPECT_TRUE(sent);
    of.right->shutdown_write();
  }(joined, answer, asked));
  loop.run();
  EXPECT_EQ(asked, question);
  EXPECT_EQ(answered, answer);
  ASSERT_TRUE(joined.result);
  EXPECT_TRUE(*joined.result);
}

TEST(Join, AReaderThatStopsStopsTheWriter) {
  Loop loop;
  Joined joined(loop);
  std::size_t sent = 0;
  loop.spawn([](Joined& of, std::size_t& bytes) -> Task<> {
    const std::string piece(64 << 10, 'x');
    for (;;) {
      auto written = co_await of.left->write_all(as_bytes(piece));
      if (!written) co_return;
      bytes += piece.size();
    }
  }(joined, sent));
  loop.context().run_for(std::chrono::milliseconds(300));
  auto before = sent;
  loop.context().run_for(std::chrono::milliseconds(300));
  EXPECT_EQ(sent, before);
  EXPECT_GT(sent, 0U);
  EXPECT_LT(sent, std::size_t{4} << 20);
  joined.right->reset();
  loop.run();
  ASSERT_TRUE(joined.result);
  EXPECT_FALSE(*joined.result);
}

}  // namespace
}  // namespace capsem::async
