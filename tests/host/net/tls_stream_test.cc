#include "host/net/tls_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <optional>
#include <string>

#include "async/task_group.h"
#include "tests/async/loop.h"
#include "tests/host/net/loopback.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::milliseconds;
using std::chrono::seconds;

std::optional<std::string> first_offered(const std::vector<std::string>& offered) {
  return offered.empty() ? std::string() : offered.front();
}

struct Peers {
  async::Loop loop;
  std::unique_ptr<TlsAuthority> authority = TlsAuthority::make("test").value();
  std::shared_ptr<TlsContext> server_context = TlsContext::server().value();
  std::shared_ptr<TlsContext> client_context =
      TlsContext::client_trusting(authority->certificate_pem()).value();

  TlsServerSide server(const std::string& host = "a.example") {
    return {server_context, authority->leaf(host).value(), first_offered};
  }
  TlsClientSide client(const std::string& host = "a.example") {
    return {client_context, host, {"http/1.1"}};
  }
};

using Opened = Result<std::unique_ptr<TlsStream>>;

struct Ends {
  std::unique_ptr<async::Stream> below;  // of the server
  std::optional<Opened> server;
  std::optional<Opened> client;
};

Task<> accept(Ends& ends, TlsServerSide side) {
  ends.server = co_await TlsStream::accept(*ends.below, {}, std::move(side));
}

Task<> connect(Ends& ends, std::unique_ptr<async::Stream> below, TlsClientSide side) {
  ends.client = co_await TlsStream::connect(std::move(below), std::move(side));
}

Ends meet(Peers& peers, TlsServerSide server, TlsClientSide client) {
  Ends ends;
  auto streams = connected(peers.loop.executor());
  ends.below = std::move(streams.first);
  peers.loop.spawn(accept(ends, std::move(server)));
  peers.loop.spawn(connect(ends, std::move(streams.second), std::move(client)));
  peers.loop.run();
  return ends;
}

Task<> send_all(async::Stream& to, const std::string& text) {
  EXPECT_TRUE(co_await write(to, text));
  to.shutdown_write();
}

Task<> hear_all(async::Stream& from, std::string& text) {
  text = co_await read_to_end(from);
}

TEST(TlsStream, CarriesBothDirectionsAndTheirEndsApart) {
  Peers peers;
  auto ends = meet(peers, peers.server(), peers.client());
  ASSERT_TRUE(*ends.server && *ends.client) << ends.client->error().message();
  async::Stream& server = ***ends.server;
  async::Stream& client = ***ends.client;
  EXPECT_EQ((**ends.client)->protocol(), "http/1.1");
  EXPECT_EQ((**ends.server)->protocol(), "http/1.1");
  const std::string question(3'000'000, 'q');
  const std::string answer(2'000'000, 'a');
  std::string asked;
  std::string answered;
  peers.loop.spawn(send_all(client, question));
  peers.loop.spawn(hear_all(server, asked));
  peers.loop.run();
  EXPECT_EQ(asked, question);
  peers.loop.spawn(send_all(server, answer));
  peers.loop.spawn(hear_all(client, answered));
  peers.loop.run();
  EXPECT_EQ(answered, answer);
}

TEST(TlsStream, BothDirectionsGoAtOnce) {
  Peers peers;
  auto ends = meet(peers, peers.server(), peers.client());
  ASSERT_TRUE(*ends.server && *ends.client);
  const std::string text(3'000'000, 'x');
  std::string asked;
  std::string answered;
  peers.loop.spawn(send_all(***ends.client, text));
  peers.loop.spawn(send_all(***ends.server, text));
  peers.loop.spawn(hear_all(***ends.server, asked));
  peers.loop.spawn(hear_all(***ends.client, answered));
  peers.loop.run();
  EXPECT_EQ(asked.size(), text.size());
  EXPECT_EQ(answered.size(), text.size());
}

TEST(TlsStream, WritesNoMoreThanThePeerTakes) {
  Peers peers;
  auto ends = meet(peers, peers.server(), peers.client());
  bool written = false;
  const std::string text(8'000'000, 'x');
  auto send = [](async::Stream& to, const std::string& all, bool& done) -> Task<> {
    done = co_await write(to, all);
  };
  async::TaskGroup group(peers.loop.executor());
  group.spawn(send(***ends.client, text, written));
  peers.loop.poll();
  EXPECT_FALSE(written);
  std::string heard;
  peers.loop.spawn(hear_all(***ends.server, heard));
  peers.loop.run_until([&] { return written; });
  EXPECT_TRUE(written);
  (**ends.client)->shutdown_write();
  peers.loop.run();
  EXPECT_EQ(heard.size(), text.size());
}

TEST(TlsStream, CertificatesThatDoNotFitAreRefused) {
  Peers peers;
  auto other = TlsAuthority::make("other").value();
  auto ended = TlsAuthority::make("ended", {.leaf_lifetime = -seconds(60)}).value();
  auto trusts_ended = TlsContext::client_trusting(ended->certificate_pem()).value();
  struct Row {
    TlsServerSide server;
    TlsClientSide client;
    const char* reason;
  };
  TlsServerSide foreign{peers.server_context, other->leaf("a.example").value(), {}};
  TlsServerSide late{peers.server_context, ended->leaf("a.example").value(), {}};
  TlsClientSide of_late{trusts_ended, "a.example", {}};
  const Row rows[] = {
      {foreign, peers.client(), "self-signed certificate in"},
      {peers.server("b.example"), peers.client(), "hostname mismatch"},
      {peers.server("192.0.2.1"), peers.client("192.0.2.2"), "IP address mismatch"},
      {late, of_late, "expired"},
  };
  for (const auto& row : rows) {
    auto ends = meet(peers, row.server, row.client);
    ASSERT_FALSE(*ends.client) << row.reason;
    EXPECT_EQ(ends.client->error().kind(), ErrorKind::kInvalid) << row.reason;
    EXPECT_TRUE(ends.client->error().message().contains(row.reason))
        << ends.client->error().message();
    // In TLS 1.3 the server is done first, and hears of it by an alert.
    if (!*ends.server) continue;
    std::string failure;
    auto heard = [](async::Stream& from, std::string& reason) -> Task<> {
      co_await read_to_end(from, &reason);
    };
    peers.loop.spawn(heard(***ends.server, failure));
    peers.loop.run();
    EXPECT_TRUE(failure.contains("alert")) << failure;
  }
}

TEST(TlsStream, AnAddressIsACertificatesNameToo) {
  Peers peers;
  for (std::string host : {"192.0.2.1", "2001:db8::1"}) {
    auto ends = meet(peers, peers.server(host), peers.client(host));
    EXPECT_TRUE(*ends.client) << ends.client->error().message();
  }
}

TEST(TlsStream, NoCommonProtocolEndsTheHandshake) {
  Peers peers;
  auto server = peers.server();
  server.choose_protocol = [](const std::vector<std::string>& offered) {
    EXPECT_EQ(offered, std::vector<std::string>{"http/1.1"});
    return std::optional<std::string>();
  };
  auto ends = meet(peers, server, peers.client());
  EXPECT_FALSE(*ends.server);
  ASSERT_FALSE(*ends.client);
  EXPECT_TRUE(ends.client->error().message().contains("no application protocol"))
      << ends.client->error().message();
}

TEST(TlsStream, AConnectionThatIsCutIsNoWholeOne) {
  Peers peers;
  auto ends = meet(peers, peers.server(), peers.client());
  auto cut = [](Ends& of, std::string& text, std::string& reason) -> Task<> {
    EXPECT_TRUE(co_await write(***of.server, "half"));
    of.below->shutdown_write();
    text = co_await read_to_end(***of.client, &reason);
  };
  std::string text;
  std::string reason;
  peers.loop.spawn(cut(ends, text, reason));
  peers.loop.run();
  EXPECT_EQ(text, "half");
  EXPECT_TRUE(reason.contains("cut off")) << reason;
}

TEST(TlsStream, AHandshakeHasALimitOfTime) {
  Peers peers;
  auto streams = connected(peers.loop.executor());
  auto accepted =
      peers.loop.get(TlsStream::accept(*streams.first, {}, peers.server(), milliseconds(50)));
  ASSERT_FALSE(accepted);
  EXPECT_EQ(accepted.error().kind(), ErrorKind::kTimeout);
  streams = connected(peers.loop.executor());
  auto opened = peers.loop.get(
      TlsStream::connect(std::move(streams.first), peers.client(), milliseconds(50)));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kTimeout);
}

TEST(TlsStream, AHelloThatIsNoneGetsAnAlert) {
  Peers peers;
  auto streams = connected(peers.loop.executor());
  auto talk = [](async::Stream& plain, std::string& heard) -> Task<> {
    EXPECT_TRUE(co_await write(plain, std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10)));
    plain.shutdown_write();
    heard = co_await read_to_end(plain);
  };
  std::string heard;
  peers.loop.spawn(talk(*streams.second, heard));
  auto accepted = peers.loop.get(TlsStream::accept(*streams.first, {}, peers.server()));
  peers.loop.run();
  EXPECT_FALSE(accepted);
  ASSERT_EQ(heard.size(), 7U);
  EXPECT_EQ(heard[0], 21);  // ContentType alert
}

// What was read of the hello before is used, wherever it was cut.
TEST(TlsStream, BeginsWithWhatWasReadBefore) {
  Peers peers;
  for (std::size_t first : {1U, 5U, 100U}) {
    auto streams = connected(peers.loop.executor());
    Ends ends;
    ends.below = std::move(streams.first);
    auto serve = [](Ends& of, TlsServerSide side, std::size_t size) -> Task<> {
      std::vector<std::byte> begun(size);
      for (std::size_t done = 0; done < size;)
        done += (co_await of.below->read_some(std::span(begun).subspan(done))).value();
      of.server = co_await TlsStream::accept(*of.below, std::move(begun), std::move(side));
    };
    peers.loop.spawn(serve(ends, peers.server(), first));
    peers.loop.spawn(connect(ends, std::move(streams.second), peers.client()));
    peers.loop.run();
    EXPECT_TRUE(*ends.server && *ends.client) << first;
  }
}

// A stream of which one sees how much is written at once, and that can be stopped.
class Watched final : public async::Stream {
 public:
  explicit Watched(std::unique_ptr<async::Stream> below) : below_(std::move(below)) {}
  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override {
    co_return co_await below_->read_some(buffer);
  }
  Task<Result<>> write_all(std::span<const std::byte> data) override {
    most = std::max(most, data.size());
    while (stopped && !was_reset) co_await pause(milliseconds(5));
    co_return co_await below_->write_all(data);
  }
  void shutdown_write() override { below_->shutdown_write(); }
  void reset() override {
    was_reset = true;
    below_->reset();
  }

  std::size_t most = 0;
  bool stopped = false;
  bool was_reset = false;

 private:
  std::unique_ptr<async::Stream> below_;
};

TEST(TlsStream, EncryptsOnlyWhatIsOnItsWay) {
  Peers peers;
  auto streams = connected(peers.loop.executor());
  Ends ends;
  auto watched = std::make_unique<Watched>(std::move(streams.first));
  auto* seen = watched.get();
  ends.below = std::move(watched);
  peers.loop.spawn(accept(ends, peers.server()));
  peers.loop.spawn(connect(ends, std::move(streams.second), peers.client()));
  peers.loop.run();
  const std::string text(5'000'000, 'x');
  std::string heard;
  peers.loop.spawn(send_all(***ends.server, text));
  peers.loop.spawn(hear_all(***ends.client, heard));
  peers.loop.run();
  EXPECT_EQ(heard.size(), text.size());
  EXPECT_GT(seen->most, 60'000U);
  EXPECT_LT(seen->most, 90'000U);
}

TEST(TlsStream, FinishGivesUpOnAPeerThatDoesNotRead) {
  Peers peers;
  auto streams = connected(peers.loop.executor());
  Ends ends;
  auto watched = std::make_unique<Watched>(std::move(streams.first));
  auto* seen = watched.get();
  ends.below = std::move(watched);
  peers.loop.spawn(accept(ends, peers.server()));
  peers.loop.spawn(connect(ends, std::move(streams.second), peers.client()));
  peers.loop.run();
  seen->stopped = true;
  auto finish = [](TlsStream& of) -> Task<bool> {
    co_await of.finish(milliseconds(50));
    co_return true;
  };
  peers.loop.get(finish(***ends.server));
  EXPECT_TRUE(seen->was_reset);
}

// What s_client prints against our server; the server reads to the end.
std::string s_client(Peers& peers, std::vector<std::string> options, const std::string& input,
                     Opened* opened = nullptr) {
  Listener listener(peers.loop.executor());
  std::string words = "(" + input +
                      ") | openssl s_client -connect 127.0.0.1:" + std::to_string(listener.port()) +
                      " -servername a.example";
  for (const auto& option : options) words += " " + option;
  auto output = std::async(std::launch::async, [words] {
    return run_for_output({.argv = {"sh", "-c", words + " 2>&1 || true"}}).value_or("");
  });
  auto serve = [](Listener& on, TlsServerSide side, Opened* into) -> Task<> {
    auto below = co_await on.accept();
    auto accepted = co_await TlsStream::accept(*below, {}, std::move(side));
    if (accepted) {
      co_await read_to_end(**accepted);
      co_await (*accepted)->finish(seconds(1));
    }
    if (into != nullptr && !accepted) *into = propagate(accepted);
  };
  peers.loop.spawn(serve(listener, peers.server(), opened));
  peers.loop.run();
  return output.get();
}

TEST(TlsStream, OpensslFindsTheServerRight) {
  Peers peers;
  capsem::testing::TemporaryDirectory directory;
  write_identity(directory, *peers.authority, "a.example");
  const std::vector<std::string> trust = {"-CAfile",   directory / "ca.pem",   "-verify_hostname",
                                          "a.example", "-verify_return_error", "-alpn http/1.1"};
  for (std::string version : {"-tls1_2", "-tls1_3"}) {
    auto options = trust;
    options.push_back(version);
    auto output = s_client(peers, options, "sleep 0.3");
    EXPECT_TRUE(output.contains("Verify return code: 0 (ok)")) << output;
    EXPECT_TRUE(output.contains("ALPN protocol: http/1.1")) << output;
    EXPECT_FALSE(output.contains("New Session Ticket arrived")) << output;
  }
}

TEST(TlsStream, OldVersionsAndRenegotiationAreRefused) {
  Peers peers;
  Opened opened;
  auto old = s_client(peers, {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, "sleep 0.1", &opened);
  EXPECT_TRUE(old.contains("alert protocol version")) << old;
  EXPECT_FALSE(opened);
  auto again = s_client(peers, {"-tls1_2"}, "sleep 0.2; echo R; sleep 0.2; echo x");
  EXPECT_TRUE(again.contains("RENEGOTIATING")) << again;
  EXPECT_TRUE(again.contains("no renegotiation")) << again;
}

// The server asks for a certificate of the client: it gets none, and the connection goes on where
// the server can do without.
TEST(TlsStream, GivesNoClientCertificate) {
  Peers peers;
  capsem::testing::TemporaryDirectory directory;
  write_identity(directory, *peers.authority, "a.example");
  const std::uint16_t port = free_port();
  auto server =
      Process::start({.argv = {"openssl", "s_server", "-accept",
                               "127.0.0.1:" + std::to_string(port), "-cert", directory / "cert.pem",
                               "-key", directory / "key.pem", "-verify", "1", "-www", "-quiet"},
                      .die_with_parent = true});
  ASSERT_TRUE(server && listens(port));
  auto ask = [](Peers& of, std::uint16_t at, std::string& heard) -> Task<> {
    auto below = co_await dial(at);
    auto opened = co_await TlsStream::connect(std::move(*below), of.client());
    if (!opened) heard = opened.error().message();
    if (!opened) co_return;
    EXPECT_TRUE(co_await write(**opened, "GET / HTTP/1.0\r\n\r\n"));
    heard = co_await read_to_end(**opened);
  };
  std::string heard;
  peers.loop.spawn(ask(peers, port, heard));
  peers.loop.run();
  EXPECT_TRUE(heard.contains("no client certificate available")) << heard;
}

}  // namespace
}  // namespace capsem::host::net
