// The host's end of the control connection, with a test at the guest's end of a socket pair.
#include "host/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "async/socket_stream.h"
#include "base/fd.h"
#include "tests/async/loop.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string frames(const std::vector<wire::GuestControl>& messages) {
  std::string bytes;
  for (const auto& message : messages) bytes += wire::encode(message).value();
  return bytes;
}

const wire::Configuration kConfiguration{.hostname = "capsem-1", .authority = "pem"};

// A connection with the test as its guest, and what the host's handlers were told.
struct Connection {
  Connection() {
    auto pair = socket_pair();
    stream = async::SocketStream::create(loop.executor(), std::move(pair->first)).value();
    guest = std::move(pair->second);
    handlers.on_hello = [this](const wire::Hello& hello) {
      events.push_back("hello " + hello.kernel_release);
    };
    handlers.on_heartbeat = [this](const wire::Heartbeat& beat) {
      events.push_back("heartbeat " + std::to_string(beat.uptime_us));
    };
    handlers.on_failure = [this](const wire::Failure& failure) {
      events.push_back("failure " + failure.text);
    };
    handlers.on_service_event = [this](const wire::ServiceEvent& event) {
      events.push_back("event " + event.name + ": " + event.text);
    };
  }

  // Serves a guest that sends `bytes`, and then nothing more.
  Result<> serve(std::string_view bytes) {
    EXPECT_TRUE(write_full(guest, as_bytes(bytes), "guest"));
    ::shutdown(guest.get(), SHUT_WR);
    return loop.get(serve_control(*stream, kConfiguration, handlers));
  }

  // Everything the host sent.
  std::vector<wire::HostControl> received() {
    stream.reset();
    wire::MessageDecoder<wire::HostControl> decoder;
    std::vector<wire::HostControl> messages;
    auto n = read_full(guest, decoder.prepare(1 << 16), "guest");
    decoder.commit(n.value());
    for (auto message = decoder.next(); message.value(); message = decoder.next())
      messages.push_back(**message);
    return messages;
  }

  async::Loop loop;
  std::unique_ptr<async::SocketStream> stream;
  Fd guest;
  ControlHandlers handlers;
  std::vector<std::string> events;
};

TEST(Control, AHelloIsAnsweredWithTheConfiguration) {
  Connection connection;
  auto served = connection.serve(frames({wire::Hello{.kernel_release = "6.1"}}));
  EXPECT_TRUE(served) << served.error().message();
  EXPECT_THAT(connection.events, ElementsAre("hello 6.1"));
  EXPECT_THAT(connection.received(), ElementsAre(wire::HostControl(kConfiguration)));
}

TEST(Control, WhatTheGuestReportsReachesItsHandlersInOrder) {
  Connection connection;
  auto served = connection.serve(
      frames({wire::Hello{}, wire::Heartbeat{7}, wire::ServiceEvent{"net", "ended"},
              wire::Failure{"no disk"}, wire::Heartbeat{8}}));
  EXPECT_TRUE(served) << served.error().message();
  EXPECT_THAT(connection.events, ElementsAre("hello ", "heartbeat 7", "event net: ended",
                                             "failure no disk", "heartbeat 8"));
}

TEST(Control, AMessageIsServedWhileTheGuestStaysConnected) {
  Connection connection;
  std::optional<Result<>> ended;
  auto serving = [&]() -> Task<> {
    Result<> result =
        co_await serve_control(*connection.stream, kConfiguration, connection.handlers);
    ended.emplace(std::move(result));
  };
  connection.loop.spawn(serving());
  auto bytes = frames({wire::Hello{}, wire::Heartbeat{1}});
  for (char byte : bytes) {
    ASSERT_TRUE(write_full(connection.guest, as_bytes({&byte, 1}), "guest"));
    connection.loop.poll();
  }
  connection.loop.run_until([&] { return connection.events.size() == 2; });
  EXPECT_THAT(connection.events, ElementsAre("hello ", "heartbeat 1"));
  EXPECT_FALSE(ended.has_value());
  ::shutdown(connection.guest.get(), SHUT_WR);
  connection.loop.run();
  ASSERT_TRUE(ended.has_value());
  EXPECT_TRUE(ended->has_value());
}

TEST(Control, AnotherProtocolVersionIsSaidInWords) {
  Connection connection;
  auto served = connection.serve(frames({wire::Hello{.protocol = wire::kProtocol + 4}}));
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().message(),
            "cannot talk to the guest's init: " +
                wire::version_mismatch_text(wire::kProtocol, wire::kProtocol + 4));
  EXPECT_EQ(served.error().kind(), ErrorKind::kInvalid);
  EXPECT_THAT(connection.events, IsEmpty());
  EXPECT_THAT(connection.received(), IsEmpty());
}

TEST(Control, IsAnErrorWhateverRuleTheGuestBreaks) {
  struct Case {
    const char* name;
    std::string bytes;
    const char* says;
    ErrorKind kind = ErrorKind::kInvalid;
  };
  auto hello = frames({wire::Hello{}});
  for (const auto& [name, bytes, says, kind] : std::vector<Case>{
           {"a heartbeat first", frames({wire::Heartbeat{1}}), "first message is not a hello"},
           {"a failure first", frames({wire::Failure{"x"}}), "first message is not a hello"},
           {"an event first", frames({wire::ServiceEvent{}}), "first message is not a hello"},
           {"two hellos", hello + hello, "said hello twice"},
           {"garbage", std::string("\x04\0\0\0junk", 8), "cannot"},
           {"an empty message", std::string("\0\0\0\0", 4), "it is empty"},
           {"a length over the limit", "\xff\xff\xff\xff", "over the limit"},
           {"a length just over the limit", std::string("\x01\0\x01\0", 4), "over the limit"},
           {"a heartbeat over its own limit",
            std::string("\x60\0\0\0\x12\x5e\x7a\x5c", 8) + std::string(92, 'x'), "limit"},
           {"silence", "", "before its hello", ErrorKind::kClosed},
           {"an end in the middle", hello.substr(0, 5), "middle of a message", ErrorKind::kClosed},
           {"a later end in the middle", hello + "\x08", "middle of a message", ErrorKind::kClosed},
       }) {
    Connection connection;
    auto served = connection.serve(bytes);
    ASSERT_FALSE(served) << name;
    EXPECT_EQ(served.error().kind(), kind) << name;
    EXPECT_THAT(served.error().message(), HasSubstr(says)) << name;
  }
}

TEST(Control, WhatPrecedesABrokenMessageIsStillServed) {
  Connection connection;
  EXPECT_FALSE(connection.serve(frames({wire::Hello{}, wire::Heartbeat{5}}) + "\xff\xff\xff\xff"));
  EXPECT_THAT(connection.events, ElementsAre("hello ", "heartbeat 5"));
}

}  // namespace
}  // namespace capsem::host
