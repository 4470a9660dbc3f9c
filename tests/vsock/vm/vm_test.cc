// The vsock device with a real guest kernel under QEMU's TCG.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <string>

#include "tests/vsock/vm/guest_commands.h"
#include "tests/vsock/vm/machine.h"
#include "tests/vsock/vm/pattern.h"

namespace capsem::vsock {
namespace {

constexpr int kSkipped = 77;  // ctest's SKIP_RETURN_CODE
constexpr std::uint64_t kBulkBytes = 100'000'000;
constexpr std::uint32_t kPort = 6000;

constexpr Quota kQuota{.connections = 1024, .receive_buffer_bytes = 64 << 20};

GuestFiles guest_files;  // set once by main(), from the command line

struct Transfer {
  std::uint64_t bytes = 0;
  bool good = true;
  std::string error;
};

Task<> send_pattern(Stream& stream, std::uint64_t bytes, Transfer& transfer) {
  std::vector<std::byte> buffer(100'000);
  Pattern pattern;
  while (transfer.bytes < bytes) {
    const auto part = std::span(buffer).first(std::min(buffer.size(), bytes - transfer.bytes));
    pattern.fill(part);
    const Result<> written = co_await stream.write_all(part);
    if (!written) {
      transfer.error = written.error().message();
      co_return;
    }
    transfer.bytes += part.size();
  }
  stream.shutdown_write();
}

Task<> receive_pattern(Stream& stream, Transfer& transfer) {
  std::vector<std::byte> buffer(100'000);
  Pattern pattern;
  for (;;) {
    const Result<std::size_t> size = co_await stream.read_some(buffer);
    if (!size) {
      transfer.error = size.error().message();
      co_return;
    }
    if (*size == 0) {
      co_return;
    }
    transfer.good = pattern.check(std::span(buffer).first(*size)) && transfer.good;
    transfer.bytes += *size;
  }
}

Task<> echo(Stream& stream) {
  std::vector<std::byte> buffer(65536);
  for (;;) {
    const Result<std::size_t> size = co_await stream.read_some(buffer);
    if (!size || *size == 0) {
      stream.shutdown_write();
      co_return;
    }
    const Result<> written = co_await stream.write_all(std::span(buffer).first(*size));
    if (!written) {
      co_return;
    }
  }
}

class VsockVm : public testing::Test {
 public:
  static void SetUpTestSuite() {
    const auto alarm = [](const Error& error) { alarms.push_back(error.message()); };
    GuestMachine::Options options;
    options.device.on_refused = alarm;
    options.device.on_broken_ring = alarm;
    options.device.on_end = alarm;
    auto started = GuestMachine::start(guest_files, std::move(options));
    ASSERT_TRUE(started) << started.error().message();
    machine = *std::move(started);
  }
  static void TearDownTestSuite() { machine.reset(); }

  void SetUp() override { ASSERT_TRUE(machine); }
  void TearDown() override { machine->device().stop_listening(kPort); }

  static std::unique_ptr<Stream> connect(std::uint32_t port) {
    auto stream = machine->loop().get(machine->device().connect(port));
    EXPECT_TRUE(stream) << stream.error().message();
    return stream ? *std::move(stream) : nullptr;
  }

  // Serves each connection of the guest to kPort with `service`, to its end.
  template <class Service>
  static void serve(Service service) {
    ASSERT_TRUE(machine->device().listen(kPort, kQuota, [service](std::unique_ptr<Stream> stream) {
      machine->loop().spawn(run(service, std::move(stream)));
    }));
  }

  template <class Service>
  static Task<> run(Service service, std::unique_ptr<Stream> stream) {
    co_await service(*stream);
  }

  static std::string peer() { return "vsock:" + std::to_string(kPort); }

  static inline std::unique_ptr<GuestMachine> machine;
  static inline std::vector<std::string> alarms;  // of the device
};

TEST_F(VsockVm, HostSends100MegabytesToTheGuest) {
  const auto stream = connect(kSinkPort);
  Transfer sent;
  machine->loop().spawn(send_pattern(*stream, kBulkBytes, sent));
  std::array<std::byte, 64> answer{};
  machine->loop().run(std::chrono::seconds(120));
  EXPECT_EQ(sent.error, "");
  const auto size = machine->loop().get(stream->read_some(answer));
  ASSERT_TRUE(size) << size.error().message();
  EXPECT_EQ(as_text(std::span(answer).first(*size)), std::to_string(kBulkBytes) + "\n");
}

TEST_F(VsockVm, GuestSends100MegabytesToTheHost) {
  const auto stream = connect(kSourcePort);
  ASSERT_TRUE(machine->loop().get(stream->write_all(as_bytes(std::to_string(kBulkBytes) + "\n"))));
  Transfer received;
  machine->loop().spawn(receive_pattern(*stream, received));
  machine->loop().run(std::chrono::seconds(120));
  EXPECT_EQ(received.error, "");
  EXPECT_EQ(received.bytes, kBulkBytes);
  EXPECT_TRUE(received.good);
}

TEST_F(VsockVm, GuestConnectsAndMoves100MegabytesEachWay) {
  Transfer received;
  serve([&](Stream& stream) { return receive_pattern(stream, received); });
  EXPECT_EQ(machine->command("push " + peer() + " " + std::to_string(kBulkBytes) + " 1"), "ok");
  EXPECT_EQ(received.bytes, kBulkBytes);
  EXPECT_TRUE(received.good);
  machine->device().stop_listening(kPort);

  Transfer sent;
  serve([&](Stream& stream) { return send_pattern(stream, kBulkBytes, sent); });
  EXPECT_EQ(machine->command("pull " + peer() + " 1"), "ok " + std::to_string(kBulkBytes));
}

TEST_F(VsockVm, StopsOfTheGuestsProcessorsLoseNothingEitherWay) {
  constexpr std::uint64_t kBytes = 64'000'000;
  auto& loop = machine->loop();
  alarms.clear();
  const auto to_guest = connect(kSinkPort);
  const auto from_guest = connect(kSourcePort);
  ASSERT_TRUE(loop.get(from_guest->write_all(as_bytes(std::to_string(kBytes) + "\n"))));
  Transfer sent;
  Transfer received;
  loop.spawn(send_pattern(*to_guest, kBytes, sent));
  loop.spawn(receive_pattern(*from_guest, received));
  for (const std::uint64_t moved : {kBytes / 8, kBytes / 4}) {
    loop.run_until([&] { return sent.bytes >= moved && received.bytes >= moved; });
    ASSERT_LT(sent.bytes, kBytes);
    ASSERT_LT(received.bytes, kBytes);
    machine->control_processors("stop");
    loop.context().run_for(std::chrono::milliseconds(100));  // what was under way
    const auto sent_before = sent.bytes;
    const auto received_before = received.bytes;
    loop.context().run_for(std::chrono::milliseconds(400));
    EXPECT_EQ(sent.bytes, sent_before) << "nobody takes anything";
    EXPECT_EQ(received.bytes, received_before) << "nobody sends anything";
    machine->control_processors("cont");
  }
  loop.run(std::chrono::seconds(120));
  EXPECT_EQ(sent.error, "");
  EXPECT_EQ(received.error, "");
  EXPECT_EQ(received.bytes, kBytes);
  EXPECT_TRUE(received.good);
  std::array<std::byte, 64> answer{};
  const auto size = loop.get(to_guest->read_some(answer));
  ASSERT_TRUE(size) << size.error().message();
  EXPECT_EQ(as_text(std::span(answer).first(*size)), std::to_string(kBytes) + "\n");
  EXPECT_EQ(alarms, std::vector<std::string>());
}

TEST_F(VsockVm, GuestOpens2000ConnectionsUpTo500AtOnce) {
  serve(echo);
  EXPECT_EQ(machine->command("churn " + peer() + " 2000 500"), "ok");
}

TEST_F(VsockVm, HostOpens2000ConnectionsUpTo250AtOnce) {
  for (int done = 0; done < 2000; done += 250) {
    std::list<std::unique_ptr<Stream>> streams;
    for (int i = 0; i < 250; ++i) {
      auto stream = connect(kEchoPort);
      ASSERT_TRUE(stream);
      ASSERT_TRUE(machine->loop().get(stream->write_all(as_bytes(std::to_string(done + i)))));
      streams.push_back(std::move(stream));
    }
    int expected = done;
    for (const auto& stream : streams) {
      std::array<std::byte, 16> buffer{};
      const auto size = machine->loop().get(stream->read_some(buffer));
      ASSERT_TRUE(size) << size.error().message();
      EXPECT_EQ(as_text(std::span(buffer).first(*size)), std::to_string(expected++));
    }
  }
}

TEST_F(VsockVm, AClosedPortIsRefusedAtOnceEitherWay) {
  const std::string answer = machine->command("refused vsock:9");
  ASSERT_TRUE(answer.starts_with("ok ")) << answer;
  EXPECT_LT(std::atol(answer.c_str() + 3), 1'000'000) << answer;

  const auto stream = machine->loop().get(machine->device().connect(kClosedPort));
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().kind(), ErrorKind::kClosed);
}

TEST_F(VsockVm, OneDirectionEndsAndTheOtherGoesOn) {
  serve([](Stream& stream) { return echo(stream); });
  EXPECT_EQ(machine->command("half " + peer() + " question"), "ok question");

  const auto stream = connect(kEchoPort);
  ASSERT_TRUE(machine->loop().get(stream->write_all(as_bytes("and back"))));
  stream->shutdown_write();
  Transfer received;
  machine->loop().spawn(receive_pattern(*stream, received));
  machine->loop().run();
  EXPECT_EQ(received.bytes, 8U);
  EXPECT_EQ(received.error, "");
}

TEST_F(VsockVm, TheGuestsCloseDoesNotWaitForItsTimeout) {
  serve(echo);
  const std::string answer = machine->command("linger " + peer());
  ASSERT_TRUE(answer.starts_with("ok ")) << answer;
  EXPECT_LT(std::atol(answer.c_str() + 3), 1'000'000) << "the kernel's own timeout is 8 s";
}

// Last, for the machine is another one afterwards.
TEST_F(VsockVm, TheGuestRebootsAndStreamsWorkAgain) {
  machine->reboot();
  serve(echo);
  EXPECT_EQ(machine->command("churn " + peer() + " 20 10"), "ok");
  const auto stream = connect(kEchoPort);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(machine->loop().get(stream->write_all(as_bytes("again"))));
}

}  // namespace
}  // namespace capsem::vsock

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  using capsem::vsock::guest_files;
  guest_files = capsem::vsock::parse_guest_files(argc, argv);
  const auto missing = capsem::vsock::missing_file(guest_files);
  if (!missing.empty()) {
    std::printf("skipped: %s is missing; run ./dev build-assets first\n", missing.c_str());
    return capsem::vsock::kSkipped;
  }
  return RUN_ALL_TESTS();
}
