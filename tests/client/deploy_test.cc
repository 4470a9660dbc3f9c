// The host's side of a deploy, with a guest of the test's at the other end.
#include "client/deploy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "async/socket_stream.h"
#include "base/fd.h"
#include "base/file.h"
#include "tests/temporary_directory.h"
#include "wire/exact.h"

namespace capsem::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kHost = "the host";

struct DeployTest : ::testing::Test {
  void SetUp() override { ::signal(SIGPIPE, SIG_IGN); }

  // Runs the deploy of `order` while `guest` is at the other end.
  template <class Guest>
  Result<std::optional<wire::DeployDone>> run(std::optional<DeployOrder> order, Guest guest) {
    auto sockets = socket_pair();
    EXPECT_TRUE(sockets);
    std::thread other([&guest, socket = std::move(sockets->second)] {
      auto start = wire::read_message<wire::HostDeploy>(socket, kHost);
      EXPECT_TRUE(start && std::holds_alternative<wire::DeployStart>(*start));
      guest(socket);
    });
    boost::asio::io_context loop;
    auto stream = async::SocketStream::create(loop.get_executor(), std::move(sockets->first));
    EXPECT_TRUE(stream);
    std::optional<Result<std::optional<wire::DeployDone>>> done;
    ChooseDeploy choose = [&](const wire::DeployState& state) {
      told = state.table;
      return Result<std::optional<DeployOrder>>(std::move(order));
    };
    boost::asio::co_spawn(loop, deploy(**stream, std::move(choose)),
                          [&](const std::exception_ptr& thrown, auto value) {
                            if (thrown) std::rethrow_exception(thrown);
                            done = std::move(value);
                          });
    loop.run();
    stream->reset();
    other.join();
    return std::move(*done);
  }

  static void say(const Fd& socket, const wire::GuestDeploy& message) {
    EXPECT_TRUE(wire::write_message(socket, message, kHost));
  }

  DeployOrder order_of(const std::string& content) {
    EXPECT_TRUE(write_file_atomically(directory / "file", content));
    return {.set = {.table = "table", .sums = "sums"},
            .items = {{.paths = {"/capsem/d"}, .mode = 0555, .directory = true},
                      {.source = directory / "file", .paths = {"/a", "/b"}, .mode = 0444}}};
  }

  testing::TemporaryDirectory directory;
  std::string told;
};

TEST_F(DeployTest, SendsTheSetItsItemsAndTheEnd) {
  const std::string content(wire::kDataBytes + 5, 'x');
  std::vector<wire::HostDeploy> seen;
  auto done = run(order_of(content), [&](const Fd& socket) {
    say(socket, wire::DeployState{.table = "theirs"});
    do seen.push_back(wire::read_message<wire::HostDeploy>(socket, kHost).value());
    while (!std::holds_alternative<wire::DeployEnd>(seen.back()));
    say(socket, wire::DeployDone{.restarted = {{"agent", 5}}});
  });
  ASSERT_TRUE(done && *done);
  EXPECT_EQ((*done)->restarted.front().pid, 5U);
  EXPECT_EQ(told, "theirs");
  EXPECT_THAT(
      seen, ElementsAre(
                wire::DeploySet{.table = "table", .sums = "sums"},
                wire::DeployItem{.paths = {"/capsem/d"}, .mode = 0555, .directory = true},
                wire::DeployItem{.paths = {"/a", "/b"}, .mode = 0444, .bytes = content.size()},
                wire::DeployData{content.substr(5)}, wire::DeployData{"xxxxx"}, wire::DeployEnd{}));
}

TEST_F(DeployTest, NothingIsSentWhenNothingIsToBeDone) {
  auto done = run(std::nullopt, [](const Fd& socket) {
    say(socket, wire::DeployState{});
    auto next = wire::read_message<wire::HostDeploy>(socket, kHost);
    EXPECT_EQ(next.error().kind(), ErrorKind::kClosed);
  });
  ASSERT_TRUE(done);
  EXPECT_FALSE(*done);
}

TEST_F(DeployTest, TheGuestsRefusalIsTheErrorWheneverItComes) {
  for (bool early : {true, false}) {
    auto done = run(order_of(std::string(8 << 20, 'x')), [&](const Fd& socket) {
      say(socket, wire::DeployState{});
      auto set = wire::read_message<wire::HostDeploy>(socket, kHost);
      while (!early && !std::holds_alternative<wire::DeployEnd>(
                           wire::read_message<wire::HostDeploy>(socket, kHost).value())) {
      }
      say(socket, wire::DeployFailed{.text = "its mode is \x1b[2J 0755"});
      ::shutdown(socket.get(), SHUT_WR);
    });
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().message(),
                HasSubstr("cannot deploy to the guest: its mode is \\x1b[2J 0755"));
  }
}

TEST_F(DeployTest, AnotherVersionAndALostConnectionAreTold) {
  auto other = run(std::nullopt, [](const Fd& socket) {
    say(socket, wire::VersionMismatch{.guest_protocol = 3});
  });
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message(), HasSubstr("speaks version 3"));
  auto lost = run(order_of("x"), [](const Fd& socket) { say(socket, wire::DeployState{}); });
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().kind(), ErrorKind::kClosed);
}

}  // namespace
}  // namespace capsem::client
