#include "vm/qmp.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <string>
#include <thread>

#include "tests/vm/on_loop.h"

namespace capsem::vm {
namespace {

using std::chrono::milliseconds;
using testing::on_loop;

constexpr const char* kGreeting =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}})"
    "\r\n";

// The other end of the socket, in a thread that reads and writes as it likes.
class Peer {
 public:
  explicit Peer(const std::function<void(Peer&)>& script) {
    auto [ours, theirs] = socket_pair().value();
    socket_ = std::move(theirs);
    client = std::move(ours);
    thread_ = std::jthread([this, script] {
      script(*this);
      socket_.reset();
    });
  }

  // Until the client, which may close at any time, has it all.
  void send(std::string_view text) {
    while (!text.empty()) {
      auto n = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  // The next line the client sends; empty when it has gone.
  std::string receive() {
    std::string line;
    std::array<std::byte, 1> byte{};
    for (;;) {
      auto n = read_full(socket_, byte, "peer");
      if (!n || *n == 0) return {};
      if (byte[0] == std::byte{'\n'}) return line;
      line += as_text(byte);
    }
  }

  // Greets and lets the client enter command mode.
  void greet() {
    send(kGreeting);
    auto command = nlohmann::json::parse(receive());
    EXPECT_EQ(command["execute"], "qmp_capabilities");
    send("{\"return\": {}, \"id\": " + command["id"].dump() + "}\r\n");
  }

  Fd client;

 private:
  Fd socket_;
  std::jthread thread_;
};

Task<Result<nlohmann::json>> execute(Qmp& qmp, std::string command, milliseconds limit) {
  nlohmann::json none = nlohmann::json::object();
  co_return co_await qmp.execute(std::move(command), std::move(none), limit);
}

TEST(Qmp, LearnsTheVersionFromTheGreeting) {
  Peer peer([](Peer& p) {
    p.greet();
    p.receive();
  });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    auto version = co_await qmp->connect(milliseconds(5000));
    EXPECT_TRUE(version && version->text() == "7.2.22");
  });
}

TEST(Qmp, MatchesAnswersToCommandsWhateverTheirOrder) {
  Peer peer([](Peer& p) {
    p.greet();
    auto first = nlohmann::json::parse(p.receive());
    auto second = nlohmann::json::parse(p.receive());
    p.send("{\"return\": \"second\", \"id\": " + second["id"].dump() + "}\n");
    p.send("{\"return\": \"first\", \"id\": " + first["id"].dump() + "}\n");
    p.receive();
  });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    (void)co_await qmp->connect(milliseconds(5000));
    std::string background;
    auto ask = [&]() -> Task<> {
      auto answer = co_await execute(*qmp, "one", milliseconds(5000));
      background = answer->template get<std::string>();
    };
    boost::asio::co_spawn(executor, ask(), [](const std::exception_ptr&) {});
    auto answer = co_await execute(*qmp, "two", milliseconds(5000));
    EXPECT_TRUE(answer && *answer == "second");
    while (background.empty()) co_await execute(*qmp, "three", milliseconds(1));
    EXPECT_EQ(background, "first");
  });
}

TEST(Qmp, ErrorCarriesWhatQemuSaid) {
  Peer peer([](Peer& p) {
    p.greet();
    auto command = nlohmann::json::parse(p.receive());
    p.send(R"({"error": {"class": "GenericError", "desc": "no such device"}, "id": )" +
           command["id"].dump() + "}\n");
    p.receive();
  });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    (void)co_await qmp->connect(milliseconds(5000));
    auto answer = co_await execute(*qmp, "device_del", milliseconds(5000));
    EXPECT_FALSE(answer);
    EXPECT_EQ(answer.error().message(), "cannot execute \"device_del\" of QEMU: no such device");
  });
}

TEST(Qmp, DeliversEvents) {
  Peer peer([](Peer& p) {
    p.greet();
    p.send(R"({"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}})"
           "\n");
  });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    std::string seen;
    qmp->on_event([&](std::string_view event, const nlohmann::json& data) {
      seen = std::string(event) + " " + data.value("reason", "");
    });
    (void)co_await qmp->connect(milliseconds(5000));
    // Ends when the peer, having sent the event, closes.
    (void)co_await execute(*qmp, "wait", milliseconds(5000));
    EXPECT_EQ(seen, "SHUTDOWN guest-reset");
  });
}

TEST(Qmp, SilenceEndsWithItsLimit) {
  Peer peer([](Peer& p) { p.receive(); });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    auto version = co_await qmp->connect(milliseconds(20));
    EXPECT_EQ(version.error().kind(), ErrorKind::kTimeout);
  });
}

TEST(Qmp, PendingCommandsEndWhenQemuGoes) {
  Peer peer([](Peer& p) {
    p.greet();
    p.receive();
  });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    (void)co_await qmp->connect(milliseconds(5000));
    auto answer = co_await execute(*qmp, "query-status", milliseconds(50000));
    EXPECT_EQ(answer.error().kind(), ErrorKind::kClosed);
    answer = co_await execute(*qmp, "query-status", milliseconds(50000));
    EXPECT_EQ(answer.error().kind(), ErrorKind::kClosed);
  });
}

TEST(Qmp, MessagesOfNoKnownFormAreIgnored) {
  Peer peer([](Peer& p) {
    p.send(
        "not json\n[1]\n\"QMP\"\n{\"QMP\": null}\n{\"event\": 3}\n{\"return\": 1, \"id\": 77}\n");
    p.greet();
    p.receive();
  });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    auto version = co_await qmp->connect(milliseconds(5000));
    EXPECT_TRUE(version.has_value());
  });
}

TEST(Qmp, ALineWithoutEndClosesTheConnection) {
  Peer peer([](Peer& p) {
    p.send(std::string(2 << 20, 'x'));
    p.receive();
  });
  on_loop([&](auto executor) -> Task<> {
    async::TaskGroup tasks(executor);
    auto qmp = Qmp::create(executor, tasks, std::move(peer.client));
    auto version = co_await qmp->connect(milliseconds(30000));
    EXPECT_EQ(version.error().kind(), ErrorKind::kClosed);
  });
}

}  // namespace
}  // namespace capsem::vm
