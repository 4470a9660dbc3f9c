#include "base/message_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "tests/temporary_directory.h"

namespace capsem {
namespace {

TEST(MessageSocket, CarriesTextAndDescriptors) {
  auto pair = message_socket_pair();
  auto pipe = make_pipe();
  const std::array fds = {pipe->second.get()};
  ASSERT_TRUE(send_message(pair->first, "one", fds));
  ASSERT_TRUE(send_message(pair->first, "two", {}));
  auto one = receive_message(pair->second);
  ASSERT_TRUE(one && *one);
  EXPECT_EQ((*one)->text, "one");
  ASSERT_EQ((*one)->fds.size(), 1U);
  EXPECT_NE(::fcntl((*one)->fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(::write((*one)->fds[0].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(pipe->first.get(), &byte, 1), 1);
  auto two = receive_message(pair->second);
  ASSERT_TRUE(two && *two);
  EXPECT_EQ((*two)->text, "two");
  EXPECT_TRUE((*two)->fds.empty());
}

TEST(MessageSocket, HasNothingBeforeAMessageCame) {
  auto pair = message_socket_pair();
  auto message = receive_message(pair->second);
  ASSERT_TRUE(message);
  EXPECT_FALSE(*message);
}

TEST(MessageSocket, TellsTheEndFromNothing) {
  auto pair = message_socket_pair();
  pair->first.reset();
  auto message = receive_message(pair->second);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().kind(), ErrorKind::kClosed);
  EXPECT_EQ(send_message(pair->second, "x", {}).error().kind(), ErrorKind::kClosed);
}

TEST(MessageSocket, RefusesWhatIsTooLarge) {
  auto pair = message_socket_pair();
  EXPECT_EQ(send_message(pair->first, std::string(kMaxMessageBytes + 1, 'x'), {}).error().kind(),
            ErrorKind::kInvalid);
  EXPECT_EQ(send_message(pair->first, "", {}).error().kind(), ErrorKind::kInvalid);
  std::string large(kMaxMessageBytes + 1, 'x');
  ASSERT_EQ(::write(pair->first.get(), large.data(), large.size()),
            static_cast<ssize_t>(large.size()));
  auto message = receive_message(pair->second);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().kind(), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace capsem
