// The guest's end of a request, with a test as the host at the other end of a socket pair.
#include "guest/sysutil/host_link.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::guest::sysutil {
namespace {

// Answers the first message that arrives with `bytes`, and returns it.
wire::LifecycleRequest answer_with(const Fd& host, std::string_view bytes) {
  wire::MessageDecoder<wire::GuestLifecycle> decoder;
  for (;;) {
    auto message = decoder.next();
    if (!message) return {};
    if (*message) {
      EXPECT_TRUE(write_full(host, as_bytes(bytes), "answer"));
      return std::get<wire::LifecycleRequest>(**message);
    }
    std::array<std::byte, 1> byte{};
    if (auto size = read_full(host, byte, "request"); !size || *size == 0) return {};
    decoder.prepare(1)[0] = byte[0];
    decoder.commit(1);
  }
}

TEST(Ask, SendsTheRequestAndReturnsTheAnswer) {
  auto pair = socket_pair();
  const wire::LifecycleRequest request{
      .action = wire::LifecycleAction::kReboot, .delay_ms = 60'000, .grace_ms = 5, .message = "m"};
  const wire::LifecycleAnswer answer{.accepted = true, .text = "in 1 min"};
  wire::LifecycleRequest heard;
  std::thread host(
      [&] { heard = answer_with(pair->second, *wire::encode<wire::HostLifecycle>(answer)); });
  auto got = ask(pair->first, request);
  host.join();
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(*got, answer);
  EXPECT_EQ(heard, request);
}

TEST(Ask, AHostThatHangsUpOrTalksNonsenseIsAnError) {
  for (std::string bytes : {std::string(), std::string("\x02\0\0\0\x12\0", 6)}) {
    auto pair = socket_pair();
    std::thread host([&] {
      answer_with(pair->second, bytes);
      pair->second.reset();
    });
    EXPECT_FALSE(ask(pair->first, {}));
    host.join();
  }
}

TEST(WaitForEnd, EndsWithTheHostOrAtTheLimit) {
  auto pair = socket_pair();
  auto begin = std::chrono::steady_clock::now();
  wait_for_end(pair->first, std::chrono::milliseconds(50));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
  pair->second.reset();
  begin = std::chrono::steady_clock::now();
  wait_for_end(pair->first, std::chrono::seconds(100));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(50));
}

}  // namespace
}  // namespace capsem::guest::sysutil
