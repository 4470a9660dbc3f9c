#include "guest/mcp-server/mcp_server.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "guest/mcp-server/session.h"

namespace capsem::guest::mcp_server {
namespace {

const std::string kPing = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";
const std::string kPong = R"({"id":1,"jsonrpc":"2.0","result":{}})";

// Everything the server says to `input`, which is written in pieces of `piece_bytes`.
std::string answers_to(const std::string& input, std::size_t piece_bytes) {
  auto in = make_pipe().value();
  auto out = make_pipe().value();
  std::jthread writer([&, end = std::move(in.second)]() mutable {
    for (std::size_t at = 0; at < input.size(); at += piece_bytes)
      (void)write_full(end, as_bytes(std::string_view(input).substr(at, piece_bytes)), "in");
    end.reset();
  });
  EXPECT_TRUE(serve(in.first, out.second));
  out.second.reset();
  std::string text(4096, '\0');
  auto n = read_full(out.first, std::as_writable_bytes(std::span(text)), "out");
  text.resize(n.value());
  return text;
}

TEST(Serve, AnswersEachLineHoweverItArrives) {
  for (std::size_t piece : {1, 7, 4096})
    EXPECT_EQ(answers_to(kPing + "\n\n" + kPing + "\r\n", piece), kPong + "\n" + kPong + "\n");
}

TEST(Serve, LeavesALineThatNeverEndedUnanswered) {
  EXPECT_EQ(answers_to(kPing + "\n" + kPing, 4096), kPong + "\n");
}

TEST(Serve, RefusesALineThatIsTooLongAndGoesOn) {
  EXPECT_EQ(answers_to(std::string(3 * kMaxMessageBytes, 'x') + "\n" + kPing + "\n", 65536),
            Session::too_long() + "\n" + kPong + "\n");
}

}  // namespace
}  // namespace capsem::guest::mcp_server
