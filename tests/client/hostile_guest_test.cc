// What a guest may send instead of the truth. It gets an error, and never more than that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/client/capsem_process.h"
#include "wire/codec.h"

namespace capsem::client {
namespace {

using ::testing::HasSubstr;

std::string frames(const std::vector<wire::GuestSession>& messages) {
  std::string bytes;
  for (const auto& message : messages) bytes += wire::encode(message).value();
  return bytes;
}

// A session with a peer that sends `bytes` and then nothing more.
Result<SessionEnd> with_guest_that_sends(std::string_view bytes) {
  auto pair = socket_pair();
  EXPECT_TRUE(write_full(pair->second, as_bytes(bytes), "guest"));
  ::shutdown(pair->second.get(), SHUT_WR);
  auto request = command_line("anything");
  auto null = open_file("/dev/null", O_RDWR);
  request.standard = {null->get(), null->get(), null->get()};
  return run_to_end(std::move(pair->first), std::move(request));
}

TEST(HostileGuest, IsAnErrorWhateverRuleItBreaks) {
  const wire::Started started{7};
  struct Case {
    const char* name;
    std::string bytes;
    const char* says;
    ErrorKind kind = ErrorKind::kInvalid;
  };
  for (const auto& [name, bytes, says, kind] : std::vector<Case>{
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
           {"silence", "", "closed the connection", ErrorKind::kClosed},
           {"an end in the middle", frames({started}).substr(0, 5), "closed the connection",
            ErrorKind::kClosed},
       }) {
    auto end = with_guest_that_sends(bytes);
    ASSERT_FALSE(end) << name;
    EXPECT_EQ(end.error().kind(), kind) << name;
    EXPECT_THAT(end.error().message(), HasSubstr(says)) << name;
  }
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
