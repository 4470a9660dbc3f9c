// What a guest may send instead of the truth. It gets an error, and never more than that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/client/capsem_process.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::client {
namespace {

using ::testing::HasSubstr;

std::string frames(const std::vector<wire::GuestSession>& messages) {
  std::string bytes;
  for (const auto& message : messages) bytes += wire::encode(message).value();
  return bytes;
}

// Makes the session one that goes on after a lost connection, would it ever get another.
void outlive(SessionRequest& request) {
  request.outlive = kTestLimit;
  request.reopen = []() -> Task<Result<std::unique_ptr<async::Stream>>> {
    co_return fail("connect to", "the agent", "it is gone", "", ErrorKind::kClosed);
  };
}

// A session with a peer that sends `bytes` and then nothing more.
Result<SessionEnd> with_guest_that_sends(std::string_view bytes, bool outlives = false) {
  auto pair = socket_pair();
  EXPECT_TRUE(write_full(pair->second, as_bytes(bytes), "guest"));
  ::shutdown(pair->second.get(), SHUT_WR);
  auto request = command_line("anything");
  auto null = open_file("/dev/null", O_RDWR);
  request.standard = {null->get(), null->get(), null->get()};
  if (outlives) outlive(request);
  return run_to_end(std::move(pair->first), std::move(request));
}

TEST(HostileGuest, IsAnErrorWhateverRuleItBreaks) {
  const wire::Started started{7};
  struct Case {
    const char* name;
    std::string bytes;
    const char* says;
    ErrorKind kind = ErrorKind::kInvalid;
    bool outlives = false;
  };
  for (const auto& [name, bytes, says, kind, outlives] : std::vector<Case>{
           {"a length over the limit", "\xff\xff\xff\xff", "over the limit"},
           {"garbage", std::string("\x04\0\0\0junk", 8), "sent garbage"},
           {"an empty message", std::string("\0\0\0\0", 4), "it is empty"},
           {"output first", frames({wire::Stdout{"x"}}), "before it started it"},
           {"the end first", frames({wire::Exited{0}}), "before it started it"},
           {"two beginnings", frames({started, started}), "twice"},
           {"credit it never had", frames({started, wire::StdinCredit{1}}), "never had"},
           {"no such status", frames({started, wire::Exited{256}}), "impossible exit status"},
           {"no such signal", frames({started, wire::Exited{0, 65}}), "impossible exit status"},
           {"a late refusal", frames({started, wire::Failed{1, "\x1b[2J"}}), "gave up: \\x1b[2J"},
           {"a count of what is not kept", frames({started, wire::Received{0}}),
            "out of its place"},
           {"a beginning in the middle", frames({started, wire::Resumed{0}}), "out of its place"},
           {"a count of what was never sent", frames({started, wire::Received{1'000}}),
            "1000 messages arrived", ErrorKind::kInvalid, true},
           {"silence", "", "closed the connection", ErrorKind::kClosed},
           {"an end in the middle", frames({started}).substr(0, 5), "closed the connection",
            ErrorKind::kClosed},
       }) {
    auto end = with_guest_that_sends(bytes, outlives);
    ASSERT_FALSE(end) << name;
    EXPECT_EQ(end.error().kind(), kind) << name;
    EXPECT_THAT(end.error().message(), HasSubstr(says)) << name;
  }
}

// Grants whatever input comes, and never says that it arrived.
void grant_all(const Fd& connection) {
  wire::MessageDecoder<wire::HostSession> decoder;
  std::string answer = frames({wire::Started{7}});
  while (write_full(connection, as_bytes(answer), "host")) {
    answer.clear();
    auto room = decoder.prepare();
    ssize_t n = ::recv(connection.get(), room.data(), room.size(), 0);
    if (n <= 0) return;
    decoder.commit(static_cast<std::size_t>(n));
    for (auto message = decoder.next(); message && *message; message = decoder.next())
      if (auto* input = std::get_if<wire::Stdin>(&**message))
        answer += frames({wire::StdinCredit{input->data.size()}});
  }
}

TEST(HostileGuest, InputThatIsGrantedAndNeverConfirmedIsNotKeptForEver) {
  auto pair = socket_pair();
  if (::fork() == 0) {
    pair->first.reset();
    grant_all(pair->second);
    ::_exit(0);
  }
  pair->second.reset();
  auto request = command_line("anything");
  auto zeros = open_file("/dev/zero", O_RDONLY);
  auto null = open_file("/dev/null", O_RDWR);
  request.standard = {zeros->get(), null->get(), null->get()};
  outlive(request);
  auto end = run_to_end(std::move(pair->first), std::move(request));
  ::wait(nullptr);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind(), ErrorKind::kInvalid);
  EXPECT_THAT(end.error().message(), HasSubstr("never says that it arrived"));
}

TEST(HostileGuest, AnotherProtocolVersionIsNamedInWords) {
  auto end = with_guest_that_sends(frames({wire::VersionMismatch{42}}));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().message(),
            "cannot start the session: " + wire::version_mismatch_text(wire::kProtocol, 42));
}

TEST(HostileGuest, ItsMessageIsMadeSafeToPrint) {
  auto end = with_guest_that_sends(frames({wire::Failed{127, "no \x1b]0;owned\x07"}}));
  ASSERT_TRUE(end) << end.error().message();
  EXPECT_EQ(end->status.shell_code(), 127);
  EXPECT_EQ(end->message, "no \\x1b]0;owned\\x07");
}

TEST(HostileGuest, WhatItSendsAfterTheEndIsNotRead) {
  auto end =
      with_guest_that_sends(frames({wire::Started{1}, wire::Exited{3}}) + "\xff\xff\xff\xff");
  ASSERT_TRUE(end) << end.error().message();
  EXPECT_EQ(end->status.code, 3);
}

}  // namespace
}  // namespace capsem::client
