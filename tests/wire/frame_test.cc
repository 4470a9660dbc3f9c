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
  std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same bytes in every run
  for (int round = 0; round < 2000; ++round) {
    MessageDecoder<GuestSession> decoder;
    std::vector<std::byte> garbage(64);
    for (auto& byte : garbage) byte = static_cast<std::byte>(random());
    garbage[1] = garbage[2] = garbage[3] = std::byte{0};  // a length that is let through
    feed(decoder, garbage);
    for (;;) {
      auto message = decoder.next();
      if (!message || !*message) break;
    }
  }
}

}  // namespace
}  // namespace capsem::wire
