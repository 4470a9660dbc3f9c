// A copy whose other side is a guest that says what it likes.
#include "client/copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/file.h"
#include "tar/writer.h"
#include "tests/temporary_directory.h"
#include "wire/exact.h"

namespace capsem::client {
namespace {

using ::testing::HasSubstr;

class CopyTest : public ::testing::Test {
 protected:
  CopyTest() {
    ::signal(SIGPIPE, SIG_IGN);
    EXPECT_TRUE(write_file_atomically(directory / "f", "old"));
  }
  ~CopyTest() override {
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
  }

  using Guest = std::function<void(const Fd&)>;
  using Copy = Result<std::uint64_t> (*)(CopyLink&, const CopyPaths&, const OnCopied&);

  // Copies between VM:/x and `f`; the error, or "".
  std::string copy(Copy how, const Guest& guest) {
    auto pair = socket_pair();
    std::thread other([&guest, socket = std::move(pair->second)] {
      auto request = wire::read_message<wire::HostTransfer>(socket, "host");
      EXPECT_TRUE(request);
      guest(socket);
    });
    std::string error;
    {
      auto held = signals.hold();
      CopyLink link(std::move(pair->first), *held);
      auto copied = how(link, {.host = directory / "f", .guest = "/x"}, [](auto, auto) {});
      if (!copied) error = copied.error().message();
    }
    other.join();
    return error;
  }
  static void say(const Fd& socket, const wire::GuestTransfer& message) {
    [[maybe_unused]] auto sent = wire::write_message(socket, message, "host");
  }
  static void send_piece(const Fd& socket, std::span<const std::byte> bytes) {
    auto prefix = wire::prefix_of(static_cast<std::uint32_t>(bytes.size()));
    auto sent = write_full(socket, std::as_bytes(std::span(prefix)), "host");
    if (sent) sent = write_full(socket, bytes, "host");
  }
  // A whole archive with one file, "new".
  static std::vector<std::byte> archive(const std::string& name) {
    std::vector<std::byte> bytes;
    tar::Writer writer(append_to(bytes));
    auto content = unnamed_file();
    EXPECT_TRUE(write_full(*content, as_bytes("new"), "file"));
    EXPECT_TRUE(writer.add({.path = name, .mode = 0644, .size = 3}, *content));
    EXPECT_TRUE(writer.finish());
    return bytes;
  }
  std::string content() { return read_file(directory / "f", 100).value(); }

  Signals signals;
  testing::TemporaryDirectory directory;
};

TEST_F(CopyTest, OutInAnyPieces) {
  EXPECT_EQ(copy(copy_out,
                 [](const Fd& socket) {
                   say(socket, wire::TransferReady{});
                   auto bytes = archive("x");
                   for (std::size_t at = 0; at < bytes.size(); at += 500)
                     send_piece(socket, std::span(bytes).subspan(at).first(
                                            std::min<std::size_t>(500, bytes.size() - at)));
                   send_piece(socket, {});
                   say(socket, wire::TransferDone{});
                 }),
            "");
  EXPECT_EQ(content(), "new");
}

TEST_F(CopyTest, OutOfWhatWasNotAskedForIsRefused) {
  for (const std::string name : {"y", "../x", "/x", "x/../../y"}) {
    EXPECT_THAT(copy(copy_out,
                     [&](const Fd& socket) {
                       say(socket, wire::TransferReady{});
                       send_piece(socket, archive(name));
                     }),
                HasSubstr("cannot unpack"));
    EXPECT_EQ(content(), "old");
  }
}

TEST_F(CopyTest, OutThatBreaksOffIsToldInTheGuestsWords) {
  EXPECT_THAT(copy(copy_out,
                   [](const Fd& socket) {
                     say(socket, wire::TransferReady{});
                     auto bytes = archive("x");
                     send_piece(socket, std::span(bytes).first(514));
                     send_piece(socket, {});
                     say(socket, wire::TransferFailed{"it burns\x1b[2J"});
                   }),
              ::testing::EndsWith("it burns\\x1b[2J"));
  EXPECT_THAT(copy(copy_out, [](const Fd& socket) { say(socket, wire::TransferFailed{"no"}); }),
              HasSubstr("no"));
  EXPECT_THAT(copy(copy_out, [](const Fd& socket) { say(socket, wire::TransferReady{}); }),
              HasSubstr("the connection to the guest was lost"));
  EXPECT_EQ(content(), "old");
}

TEST_F(CopyTest, OutWithoutEndOrOverTheLimitIsRefused) {
  EXPECT_THAT(copy(copy_out,
                   [](const Fd& socket) {
                     say(socket, wire::TransferReady{});
                     auto prefix = wire::prefix_of(2 << 20);
                     [[maybe_unused]] auto sent =
                         write_full(socket, std::as_bytes(std::span(prefix)), "host");
                   }),
              HasSubstr("a piece is over the limit"));
  EXPECT_THAT(copy(copy_out,
                   [](const Fd& socket) {
                     say(socket, wire::TransferReady{});
                     send_piece(socket, archive("x"));
                     const std::vector<std::byte> more(1 << 20);
                     for (int i = 0; i < 3; ++i) send_piece(socket, more);
                   }),
              HasSubstr("more behind the archive's end"));
}

TEST_F(CopyTest, InStopsWhenTheGuestFails) {
  ASSERT_TRUE(write_file_atomically(directory / "f", std::string(10 << 20, 'x')));
  EXPECT_THAT(copy(copy_in,
                   [](const Fd& socket) {
                     say(socket, wire::TransferReady{});
                     say(socket, wire::TransferFailed{"the disk is full"});
                     // Until the host has gone.
                     std::vector<std::byte> ignored(1 << 20);
                     while (::read(socket.get(), ignored.data(), ignored.size()) > 0) {
                     }
                   }),
              HasSubstr("the disk is full"));
}

}  // namespace
}  // namespace capsem::client
