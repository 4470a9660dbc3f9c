// A session whose connection is lost again and again, with the real agent at the other end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "tests/client/capsem_process.h"
#include "tests/guest/pty-agent/agent_service.h"
#include "tests/temporary_directory.h"

namespace capsem::client {
namespace {

using ::testing::HasSubstr;
using StreamResult = Result<std::unique_ptr<async::Stream>>;

// The client's end of a connection to `agent` that breaks off after `bytes`, in both directions
// together, with what is on its way.
Fd cut_after(Fd agent, std::size_t bytes) {
  auto pair = socket_pair();
  if (::fork() != 0) return std::move(pair->first);
  pair->first.reset();
  std::array<int, 2> ends = {agent.get(), pair->second.get()};
  std::vector<char> buffer(8192);
  while (bytes > 0) {
    std::array<pollfd, 2> waiting = {pollfd{ends[0], POLLIN, 0}, pollfd{ends[1], POLLIN, 0}};
    if (::poll(waiting.data(), 2, std::chrono::milliseconds(kTestLimit).count()) <= 0) break;
    for (std::size_t from : {0U, 1U}) {
      if (waiting.at(from).revents == 0) continue;
      ssize_t n = ::recv(ends.at(from), buffer.data(), std::min(buffer.size(), bytes), 0);
      if (n <= 0) ::_exit(0);
      auto size = static_cast<std::size_t>(n);
      if (::send(ends.at(1 - from), buffer.data(), size, MSG_NOSIGNAL) != n) ::_exit(0);
      bytes -= size;
    }
  }
  ::_exit(0);
}

class ResumedSession : public ::testing::Test {
 protected:
  void SetUp() override {
    agent_.start();
    // Nobody waits for those that cut the connections.
    [[maybe_unused]] auto before = ::signal(SIGCHLD, SIG_IGN);
  }
  void TearDown() override { [[maybe_unused]] auto before = ::signal(SIGCHLD, SIG_DFL); }

  SessionRequest request(std::string line) {
    SessionRequest request = command_line(std::move(line));
    request.outlive = std::chrono::seconds(60);
    request.standard = {-1, null_.get(), null_.get()};
    request.reopen = [this] { return reopen(); };
    return request;
  }

  Task<StreamResult> reopen() {
    ++reopened_;
    auto executor = co_await boost::asio::this_coro::executor;
    if (refusals_ > 0 && refusals_-- > 0) co_return fail("connect to", "the agent", "not now");
    if (gone_) co_return fail("connect to", "the agent", "it is gone", "", ErrorKind::kClosed);
    auto stream = async::SocketStream::create(executor, cut_after(agent_.connect(), cut_bytes_));
    if (!stream) co_return propagate(stream);
    co_return std::move(*stream);
  }

  Result<SessionEnd> run(SessionRequest request) {
    return run_to_end(cut_after(agent_.connect(), cut_bytes_), std::move(request));
  }

  guest::pty_agent::AgentProcess agent_;
  Fd null_ = open_file("/dev/null", O_RDWR).value();
  testing::TemporaryDirectory directory_;
  std::size_t cut_bytes_ = 700'000;  // more than the largest message, so that each gets further
  int reopened_ = 0;
  int refusals_ = 0;  // of the next connections
  bool gone_ = false;
};

TEST_F(ResumedSession, LosesNothingAndRepeatsNothingInEitherDirection) {
  std::string sent;
  for (unsigned i = 0; sent.size() < 5'000'000; ++i) sent += std::to_string(i * 2'654'435'761U);
  std::ofstream(directory_ / "in") << sent;
  auto in = open_file(directory_ / "in", O_RDONLY);
  auto out = open_file(directory_ / "out", O_CREAT | O_WRONLY, 0600);
  auto asked = request("cat; exit 4");
  asked.standard = {in->get(), out->get(), -1};
  auto end = run(std::move(asked));
  ASSERT_TRUE(end) << end.error().message();
  EXPECT_EQ(end->status.code, 4);
  EXPECT_GE(reopened_, 10);
  std::ifstream file(directory_ / "out");
  std::string received(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(received.size(), sent.size());
  EXPECT_TRUE(received == sent);
}

TEST_F(ResumedSession, TriesAgainWhenTheGuestDoesNotTakeTheConnection) {
  refusals_ = 3;
  cut_bytes_ = 100'000;
  auto end = run(request("seq 1 100000; exit 4"));
  ASSERT_TRUE(end) << end.error().message();
  EXPECT_EQ(end->status.code, 4);
  EXPECT_GT(reopened_, 3);
}

TEST_F(ResumedSession, EndsAtOnceWhenThereIsNoConnectionToBeHadAnyMore) {
  gone_ = true;
  cut_bytes_ = 2'000;
  auto end = run(request("seq 1 1000"));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind(), ErrorKind::kClosed);
  EXPECT_EQ(reopened_, 1);
}

TEST_F(ResumedSession, EndsAtOnceWhenTheGuestHasItNoMore) {
  // The agent's process that serves the session is the shell's parent.
  auto asked = request("read line; kill -9 $PPID");
  auto input = make_pipe();
  asked.standard[0] = input->first.get();
  asked.on_started = [&] { ASSERT_TRUE(write_full(input->second, as_bytes("\n"), "input")); };
  auto end = run(std::move(asked));
  ASSERT_FALSE(end);
  EXPECT_THAT(end.error().message(), HasSubstr("it has ended, or its agent was started again"));
}

TEST_F(ResumedSession, GivesUpAfterTheTimeThatItMayBeWithoutAConnection) {
  refusals_ = 1'000'000;
  cut_bytes_ = 2'000;
  auto asked = request("seq 1 1000");
  asked.outlive = std::chrono::milliseconds(100);
  auto end = run(std::move(asked));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind(), ErrorKind::kClosed);
  EXPECT_GT(reopened_, 1);
}

}  // namespace
}  // namespace capsem::client
