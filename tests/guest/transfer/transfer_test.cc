// The guest's end of port 5005, with a host that says what it likes.
#include "guest/transfer/transfer.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>
#include <variant>

#include "base/file.h"
#include "tar/unpack.h"
#include "tar/writer.h"
#include "tests/temporary_directory.h"
#include "wire/exact.h"

namespace capsem::guest::transfer {
namespace {

using ::testing::HasSubstr;

class TransferTest : public ::testing::Test {
 protected:
  TransferTest() {
    ::signal(SIGPIPE, SIG_IGN);
    auto pair = socket_pair();
    host = std::move(pair->first);
    server = std::thread([connection = std::move(pair->second)]() mutable {
      [[maybe_unused]] auto served = serve(connection);
    });
  }
  ~TransferTest() override {
    host.reset();
    if (server.joinable()) server.join();
  }

  void ask(const wire::HostTransfer& request) {
    ASSERT_TRUE(wire::write_message(host, request, "guest"));
  }
  wire::GuestTransfer answer() {
    auto message = wire::read_message<wire::GuestTransfer>(host, "guest");
    EXPECT_TRUE(message) << message.error().message();
    return message ? *message : wire::GuestTransfer(wire::TransferFailed{"nothing"});
  }
  std::string failure() {
    auto said = answer();
    const auto* failed = std::get_if<wire::TransferFailed>(&said);
    return failed != nullptr ? failed->text : "no failure";
  }
  void send_file(const std::string& path, const std::string& content) {
    auto file = unnamed_file(directory.path());
    ASSERT_TRUE(write_full(*file, as_bytes(content), "file"));
    tar::Writer writer(write_to(host, "guest"));
    ASSERT_TRUE(writer.add({.path = path, .mode = 0640, .size = content.size()}, *file));
    ASSERT_TRUE(writer.finish());
  }

  testing::TemporaryDirectory directory;
  Fd host;
  std::thread server;
};

// A TCP port of the loopback interface that answers what it is told, after its end.
class Echo {
 public:
  Echo() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      Fd connection(::accept(listener_.get(), nullptr, nullptr));
      std::string all(1 << 20, '\0');
      auto read = read_full(connection, std::as_writable_bytes(std::span(all)), "peer");
      if (read) static_cast<void>(write_full(connection, as_bytes(all).first(*read), "peer"));
    });
  }
  ~Echo() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  std::uint32_t port = 0;

 private:
  Fd listener_;
  std::thread thread_;
};

TEST_F(TransferTest, APortIsReachedAndTheEndOfADirectionIsPassedOn) {
  const Echo echo;
  ask(wire::ConnectPort{.number = echo.port});
  ASSERT_TRUE(std::holds_alternative<wire::TransferReady>(answer()));
  const std::string sent(300'000, 'x');
  ASSERT_TRUE(write_full(host, as_bytes(sent), "guest"));
  ASSERT_EQ(::shutdown(host.get(), SHUT_WR), 0);
  std::string received(1 << 20, '\0');
  auto size = read_full(host, std::as_writable_bytes(std::span(received)), "guest");
  ASSERT_TRUE(size);
  EXPECT_EQ(received.substr(0, *size), sent);
}

TEST_F(TransferTest, AHostThatIsGoneEndsAConnectionToAPortThatSaysNothing) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  ask(wire::ConnectPort{.number = ntohs(address.sin_port)});
  ASSERT_TRUE(std::holds_alternative<wire::TransferReady>(answer()));
  const Fd silent(::accept(listener.get(), nullptr, nullptr));
  host.reset();
  server.join();
}

TEST_F(TransferTest, APortThatCannotBeIsRefusedInWords) {
  ask(wire::ConnectPort{.number = 70'000});
  EXPECT_THAT(failure(), HasSubstr("port 70000 of the guest: there is no such port"));
}

TEST_F(TransferTest, AFileComesInWholeAndItsFillingIsRead) {
  ask(wire::CopyIn{.path = directory / "new", .name = "x"});
  ASSERT_TRUE(std::holds_alternative<wire::TransferReady>(answer()));
  send_file("x", "content");
  // GNU tar fills up to 10 KiB; the guest has not said its last word before.
  ASSERT_TRUE(write_full(host, as_bytes(std::string(8192, '\0')), "guest"));
  pollfd spoken{.fd = host.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&spoken, 1, 50), 0);
  ASSERT_EQ(::shutdown(host.get(), SHUT_WR), 0);
  EXPECT_EQ(answer(), wire::GuestTransfer(wire::TransferDone{}));
  EXPECT_EQ(read_file(directory / "new", 100).value(), "content");
}

TEST_F(TransferTest, AHostThatGoesAwayLeavesTheOldFile) {
  ASSERT_TRUE(write_file_atomically(directory / "old", "old"));
  ask(wire::CopyIn{.path = directory / "old", .name = "x"});
  ASSERT_TRUE(std::holds_alternative<wire::TransferReady>(answer()));
  auto member = tar::Member{.path = "x", .size = 1 << 20};
  tar::Writer writer([&](std::span<const std::byte> bytes) {
    return write_full(host, bytes.first(bytes.size() / 2), "guest");
  });
  auto file = unnamed_file(directory.path());
  ASSERT_EQ(::ftruncate(file->get(), 1 << 20), 0);
  ASSERT_TRUE(writer.add(member, *file));
  ASSERT_EQ(::shutdown(host.get(), SHUT_WR), 0);
  EXPECT_THAT(failure(), HasSubstr("its end is missing"));
  EXPECT_EQ(read_file(directory / "old", 100).value(), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

TEST_F(TransferTest, WhatCannotBeCopiedOutIsSaidInsteadOfReady) {
  ask(wire::CopyOut{.path = directory / "nothing", .name = "nothing"});
  EXPECT_THAT(failure(), HasSubstr("nothing: No such file or directory"));
}

TEST_F(TransferTest, AHostOfAnotherVersionIsToldOurs) {
  ask(wire::CopyOut{.protocol = wire::kProtocol + 1});
  EXPECT_EQ(answer(), wire::GuestTransfer(wire::VersionMismatch{wire::kProtocol}));
}

}  // namespace
}  // namespace capsem::guest::transfer
