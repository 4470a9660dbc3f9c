#include "client/messages.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "async/task_group.h"
#include "base/fd.h"

namespace capsem::client {
namespace {

class MessagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pipe = make_pipe();
    reader_ = std::move(pipe->first);
    writer_ = std::move(pipe->second);
    ASSERT_TRUE(set_nonblocking(reader_, true));
  }

  void fill() {
    ASSERT_TRUE(set_nonblocking(writer_, true));
    std::string bytes(4096, 'x');
    while (::write(writer_.get(), bytes.data(), bytes.size()) > 0) {
    }
    ASSERT_TRUE(set_nonblocking(writer_, false));
  }

  // Lets the lines go out for as long as they can, then ends.
  void run(Messages& messages) {
    async::TaskGroup tasks(loop_.get_executor());
    tasks.spawn(messages.run());
    while (loop_.poll() > 0) {
    }
    tasks.cancel();
    boost::asio::co_spawn(loop_, tasks.join(), boost::asio::detached);
    loop_.restart();
    loop_.run();
    loop_.restart();
  }

  std::string read() {
    std::string text(1 << 20, '\0');
    ssize_t n = ::read(reader_.get(), text.data(), text.size());
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }

  boost::asio::io_context loop_;
  Fd reader_;
  Fd writer_;
};

TEST_F(MessagesTest, GoOutInTheirOrder) {
  Messages messages(loop_.get_executor(), writer_.get());
  messages.say("one");
  messages.warn("two");
  run(messages);
  EXPECT_EQ(read(), "capsem: one\ncapsem: warning: two\n");
  EXPECT_EQ(messages.rest(), "");
}

TEST_F(MessagesTest, AreLeftForTheEndWhenNobodyReads) {
  fill();
  Messages messages(loop_.get_executor(), writer_.get());
  messages.say("one");
  messages.say("two");
  run(messages);
  EXPECT_EQ(messages.rest(), "capsem: one\ncapsem: two\n");
  EXPECT_EQ(read().find("capsem"), std::string::npos);
  run(messages);
  EXPECT_EQ(read(), "capsem: one\ncapsem: two\n");
}

TEST_F(MessagesTest, WaitWhileTheTerminalIsTheGuests) {
  Messages messages(loop_.get_executor(), writer_.get());
  messages.hold(true);
  messages.say("one");
  run(messages);
  EXPECT_EQ(read(), "");
  messages.hold(false);
  run(messages);
  EXPECT_EQ(read(), "capsem: one\n");
}

TEST_F(MessagesTest, TooManyAreLeftOutAndCounted) {
  Messages messages(loop_.get_executor(), writer_.get());
  messages.hold(true);
  for (std::size_t i = 0; i < kMaxMessages + 7; ++i) messages.say("line");
  auto rest = messages.rest();
  EXPECT_TRUE(rest.ends_with("line\ncapsem: warning: 7 more messages were left out\n")) << rest;
  EXPECT_EQ(std::ranges::count(rest, '\n'), kMaxMessages + 1);
}

TEST_F(MessagesTest, OfAReaderThatIsGoneAreDropped) {
  [[maybe_unused]] auto before = ::signal(SIGPIPE, SIG_IGN);
  reader_.reset();
  Messages messages(loop_.get_executor(), writer_.get());
  messages.say("one");
  run(messages);
  EXPECT_EQ(messages.rest(), "");
}

}  // namespace
}  // namespace capsem::client
