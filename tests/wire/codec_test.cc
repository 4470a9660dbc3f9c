#include "wire/codec.h"

#include <gtest/gtest.h>

#include "base/fd.h"
#include "tests/wire/samples.h"
#include "wire/frame.h"
#include "wire/ports.h"

namespace capsem::wire {
namespace {

template <class Envelope>
Result<Envelope> decode_frame(const std::string& frame) {
  return decode<Envelope>(as_bytes(frame).subspan(kPrefixBytes));
}

TEST(Codec, SenderRefusesAMessageOverItsKindsLimit) {
  EXPECT_TRUE(encode(GuestSession(Stdout{std::string(kDataBytes, 'x')})));
  auto too_large = encode(GuestSession(Stdout{std::string(kDataBytes + kOverheadBytes, 'x')}));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().kind(), ErrorKind::kInvalid);
  EXPECT_EQ(too_large.error().message(),
            "cannot send a Stdout message: 65608 bytes, more than the limit of 65600");
}

TEST(Codec, OutputBehindItsHeaderIsTheMessage) {
  for (std::size_t size : {1UL, 127UL, 128UL, 5000UL, kDataBytes}) {
    std::string data(size, 'x');
    EXPECT_EQ(output_header(OutputStream::kStdout, size) + data,
              encode(GuestSession(Stdout{data})).value());
    EXPECT_EQ(output_header(OutputStream::kStderr, size) + data,
              encode(GuestSession(Stderr{data})).value());
  }
}

TEST(Codec, ReceiverRefusesAMessageOverItsKindsLimit) {
  // A Failure may be large, a Heartbeat may not: the limit is the kind's, not the connection's.
  std::string payload = {'\x12', '\x7f'};
  payload.append(127, '\0');
  auto refused = decode<GuestControl>(as_bytes(payload));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("over its kind's limit"), std::string::npos);
}

TEST(Codec, EveryTruncationIsAnErrorOrAShorterMessageAndNeverACrash) {
  for (const auto& sample : samples<HostSession>()) {
    auto frame = encode(sample.message);
    ASSERT_TRUE(frame);
    for (std::size_t size = kPrefixBytes; size < frame->size(); ++size)
      EXPECT_FALSE(decode_frame<HostSession>(frame->substr(0, size))) << sample.text << size;
  }
}

TEST(Codec, RefusesAHashThatIsNotOneOfSha256) {
  for (std::size_t size : {0, 31, 33, 64}) {
    auto hash = std::string("\x1a") + static_cast<char>(size) + std::string(size, 'x');
    auto entry = std::string("\x1a") + static_cast<char>(hash.size()) + hash;
    auto hello = std::string("\x08") + static_cast<char>(kProtocol) + entry;
    auto payload = std::string("\x0a") + static_cast<char>(hello.size()) + hello;
    auto refused = decode<GuestControl>(as_bytes(payload));
    ASSERT_FALSE(refused) << size;
    EXPECT_NE(refused.error().message().find("wrong length"), std::string::npos) << size;
  }
}

TEST(Codec, RefusesWhatIsNotExactlyOneKnownMessage) {
  struct Case {
    std::string payload;
    std::string_view reason;
  };
  const std::string end = {'\x1a', '\0'};  // StdinEnd
  for (const auto& [payload, reason] : std::vector<Case>{
           {"", "it is empty"},
           {end + end, "more than one message"},
           {{'\x7a', '\0'}, "its kind is unknown"},
           {{'\x18', '\1'}, "wrong type"},                        // StdinEnd as a number
           {{'\x2a', '\2', '\x0a', '\0'}, "wrong type"},          // Signal's number as bytes
           {{'\x32', '\2', '\x08', '\2'}, "a value is unknown"},  // OutputClosed of stream 2
           {{'\x2a', '\6', '\x08', '\xff', '\xff', '\xff', '\xff', '\x7f'}, "number is too large"},
       }) {
    auto refused = decode<HostSession>(as_bytes(payload));
    ASSERT_FALSE(refused) << reason;
    EXPECT_EQ(refused.error().kind(), ErrorKind::kInvalid);
    EXPECT_NE(refused.error().message().find(reason), std::string::npos)
        << refused.error().message();
  }
}

TEST(Codec, PassesOverUnknownFieldsInsideAMessage) {
  auto seen = decode<HostSession>(as_bytes({"\x2a\x04\x08\x0f\x50\x01", 6}));
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(*seen, HostSession(Signal{15}));
}

TEST(Codec, OfAForeignProtocolOnlyTheVersionIsRead) {
  // Version 9 with a field that this version would refuse.
  auto seen = decode<HostSession>(as_bytes({"\x0a\x04\x08\x09\x10\x01", 6}));
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(*seen, HostSession(SessionStart{.protocol = 9}));
}

TEST(Protocol, MismatchNamesBothVersionsAndWhatToDo) {
  EXPECT_EQ(version_mismatch_text(4, 3),
            "this capsem speaks protocol version 4, the program in the guest speaks version 3; an "
            "old copy from the rootfs is the usual cause: run `capsem build-assets`");
}

TEST(Protocol, AUserHasOneOrTwoParts) {
  for (const char* text : {"bob", "0", "bob:users", "1000:100"}) EXPECT_TRUE(is_user(text)) << text;
  for (const char* text : {"", ":", "bob:", ":users", "a:b:c", "a::b"})
    EXPECT_FALSE(is_user(text)) << text;
  EXPECT_FALSE(is_user(std::string_view("a\0b", 3)));
}

TEST(Ports, AreDistinct) {
  for (const Port& a : kPorts)
    for (const Port& b : kPorts) EXPECT_EQ(a.number == b.number, a.name == b.name);
}

}  // namespace
}  // namespace capsem::wire
