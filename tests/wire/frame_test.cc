#include "wire/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/fd.h"
#include "tests/wire/samples.h"

namespace capsem::wire {
namespace {

void feed(auto& decoder, std::span<const std::byte> input) {
  auto room = decoder.prepare(input.size());
  std::copy(input.begin(), input.end(), room.begin());
  decoder.commit(input.size());
}

void feed_prefix(auto& decoder, std::uint32_t size) {
  auto prefix = prefix_of(size);
  feed(decoder, std::as_bytes(std::span(prefix)));
}

TEST(Frame, MessagesComeOutWholeHoweverTheInputIsCut) {
  std::string stream;
  auto sent = samples<HostSession>();
  for (const auto& sample : sent) stream += *encode(sample.message);
  for (std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{7}, stream.size()}) {
    MessageDecoder<HostSession> decoder;
    std::vector<HostSession> got;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      feed(decoder, as_bytes(std::string_view(stream).substr(at, piece)));
      for (;;) {
        auto message = decoder.next();
        ASSERT_TRUE(message) << message.error().message();
        if (!*message) break;
        got.push_back(std::move(**message));
      }
    }
    EXPECT_TRUE(decoder.at_boundary());
    ASSERT_EQ(got.size(), sent.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], sent[i].message);
  }
}

TEST(Frame, AHostileLengthIsRefusedBeforeItsPayloadArrives) {
  FrameDecoder decoder(1000);
  feed(decoder, as_bytes({"\xff\xff\xff\xff", 4}));
  auto refused = decoder.next();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "cannot read a message: its length of 4294967295 bytes is over the limit of 1000");
  FrameDecoder exact(1000);
  feed(exact, as_bytes({"\xe8\x03\x00\x00", 4}));
  EXPECT_TRUE(exact.next());
}

TEST(Frame, CutOffInputIsNoBoundary) {
  FrameDecoder decoder(1000);
  EXPECT_TRUE(decoder.at_boundary());
  feed(decoder, as_bytes({"\x02\x00\x00\x00"
                          "a",
                          5}));
  ASSERT_TRUE(decoder.next());
  EXPECT_FALSE(decoder.at_boundary());
  feed(decoder, as_bytes("b"));
  auto payload = decoder.next();
  ASSERT_TRUE(payload && *payload);
  EXPECT_EQ(as_text(**payload), "ab");
  EXPECT_TRUE(decoder.at_boundary());
}

TEST(Frame, HoldsNoMoreThanOneFrameAndOneRead) {
  MessageDecoder<GuestSession> decoder;
  auto frame = encode(GuestSession(Stdout{std::string(kDataBytes, 'x')}));
  ASSERT_TRUE(frame);
  std::size_t largest = 0;
  for (int i = 0; i < 1000; ++i) {
    auto room = decoder.prepare(frame->size());
    largest = std::max(largest, room.size());
    std::ranges::copy(as_bytes(*frame), room.begin());
    decoder.commit(frame->size());
    auto message = decoder.next();
    ASSERT_TRUE(message && *message);
  }
  EXPECT_LT(largest, 3 * kDataBytes);
}

TEST(Frame, GarbageIsAnErrorAndNeverACrash) {
  constexpr int kRounds = 2000;
  constexpr std::size_t kMostBytes = 200;
  std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same bytes in every run
  int refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    MessageDecoder<GuestSession> decoder;
    std::vector<std::byte> garbage(random() % kMostBytes + 1);
    for (auto& byte : garbage) byte = static_cast<std::byte>(random());
    feed_prefix(decoder, static_cast<std::uint32_t>(garbage.size()));
    feed(decoder, garbage);
    auto message = decoder.next();
    EXPECT_TRUE(decoder.at_boundary()) << "the frame was not taken as a whole";
    if (message) {
      // By chance it is a message, which then can be sent on.
      ASSERT_TRUE(*message);
      EXPECT_TRUE(encode(**message));
    } else {
      EXPECT_EQ(message.error().kind(), ErrorKind::kInvalid);
      ++refused;
    }
  }
  EXPECT_GT(refused, kRounds * 9 / 10);
}

TEST(Frame, ALengthThatIsGarbageIsRefusedBeforeItsPayload) {
  std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same bytes in every run
  for (int round = 0; round < 2000; ++round) {
    MessageDecoder<GuestSession> decoder;
    auto size = static_cast<std::uint32_t>(random());
    feed_prefix(decoder, size);
    auto message = decoder.next();
    if (size <= limit_bytes<GuestSession>())
      EXPECT_TRUE(message && !*message) << size;
    else
      EXPECT_TRUE(!message && message.error().kind() == ErrorKind::kInvalid) << size;
  }
}

}  // namespace
}  // namespace capsem::wire
