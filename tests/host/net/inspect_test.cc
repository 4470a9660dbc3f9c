// Inspected connections between real clients and real servers: curl, openssl, nginx.
#include "host/net/inspect.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "host/net/tls_hello.h"
#include "host/net/tls_stream.h"
#include "tests/async/loop.h"
#include "tests/host/net/http2_peer.h"
#include "tests/host/net/loopback.h"
#include "tests/host/net/nginx.h"
#include "tests/host/net/proxy_scene.h"

namespace capsem::host::net {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

constexpr const char* kHost = "a.example";

// The proxy, which takes connections on a port of loopback as the guest would open them.
class Inspected {
 public:
  // `upstream` is the port of the real server.
  explicit Inspected(std::uint16_t upstream, std::string server_name = kHost)
      : listener_(loop.executor()), upstream_(upstream), server_name_(std::move(server_name)) {
    inspector.authority = TlsAuthority::make("test").value();
    inspector.guest_side = TlsContext::server().value();
    servers = TlsAuthority::make("servers").value();
    inspector.server_side = TlsContext::client_trusting(servers->certificate_pem()).value();
    write_file_atomically(directory / "vm.pem", inspector.authority->certificate_pem()).value();
  }

  std::uint16_t port() const { return listener_.port(); }
  void upstream(std::uint16_t port) { upstream_ = port; }

  // Runs a command of the shell while connections are served; $PORT, $CA and $CURL are set. What it
  // wrote, whatever its status.
  std::string run(const std::string& command, bool tls = true) {
    const std::string port_text = std::to_string(port());
    const std::string ca = directory / "vm.pem";
    const std::string scheme = tls ? "https" : "http";
    std::string script = "PORT=" + port_text + " CA=" + ca + " URL=" + scheme + "://" + kHost +
                         ":" + port_text +
                         "; CURL=\"curl -sS --max-time 20 --cacert $CA --resolve " + kHost +
                         ":$PORT:127.0.0.1 --noproxy *\"; set -f; (" + command + ") 2>&1 || true";
    std::string output;
    bool done = false;
    auto result = std::async(std::launch::async, [&] {
      output = run_for_output({.argv = {"sh", "-c", script}}).value_or("failed");
      asio::post(loop.context(), [&] { done = true; });
    });
    async::TaskGroup connections(loop.executor());
    connections.spawn(serve(connections, tls));
    loop.run_until([&] { return done; });
    result.get();
    auto end = [](async::TaskGroup& group) -> Task<> {
      group.cancel();  // on the loop: from elsewhere Asio would come too late
      co_await group.join();
    };
    loop.spawn(end(connections));
    loop.run();
    return output;
  }

  async::Loop loop;
  Inspector inspector;
  std::unique_ptr<TlsAuthority> servers;
  capsem::testing::TemporaryDirectory directory;
  std::vector<RequestRecord> records;
  std::vector<std::string> failures;

 private:
  Task<> serve(async::TaskGroup& connections, bool tls) {
    for (;;) {
      auto guest = co_await listener_.accept();
      connections.spawn(connection(std::move(guest), tls));
    }
  }

  static Task<HelloReader> read_hello(async::Stream& guest) {
    HelloReader hello;
    std::vector<std::byte> buffer(4096);
    while (hello.state() == HelloReader::State::kIncomplete) {
      auto size = co_await guest.read_some(buffer);
      if (!size || *size == 0) break;
      hello.feed(std::span(buffer).first(*size));
    }
    co_return hello;
  }

  Task<> connection(std::unique_ptr<async::Stream> guest, bool tls) {
    InspectOptions options{.server_name = server_name_, .port = port(), .judge = judge_by_word()};
    options.record = [this](const RequestRecord& record) { records.push_back(record); };
    options.connect = [this](std::string /*host*/) { return dial(upstream_); };
    Result<> served;
    if (tls) {
      auto hello = co_await read_hello(*guest);
      options.protocols = hello.hello().protocols;
      const auto bytes = hello.bytes();
      served =
          co_await inspect_tls(*guest, {bytes.begin(), bytes.end()}, inspector, std::move(options));
    } else {
      served = co_await inspect_plain(*guest, {}, std::move(options));
    }
    if (!served) failures.push_back(served.error().message());
  }

  Listener listener_;
  std::uint16_t upstream_;
  std::string server_name_;
};

TEST(Inspect, CurlFetchesFromNginx) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost);
  inspected.upstream(nginx.tls_port());
  nginx.file("one", "hello");
  nginx.file("large", std::string(3'000'000, 'x'));
  auto heard =
      inspected.run("$CURL $URL/one $URL/one $URL/one -w '%{num_connects} %{http_version}\\n'");
  EXPECT_EQ(heard, "hello1 1.1\nhello0 1.1\nhello0 1.1\n");
  EXPECT_EQ(inspected.run("$CURL $URL/large | wc -c"), "3000000\n");
  // nginx answers that there is no such method for files; what was sent has gone through.
  EXPECT_EQ(inspected.run("head -c 3000000 /dev/zero | $CURL -T - $URL/put/x -o /dev/null "
                          "-w '%{http_code}'; $CURL $URL/put/x | wc -c"),
            "2013000000\n");
  EXPECT_EQ(
      inspected.run("$CURL -I $URL/large -o /dev/null -w '%{http_code} %header{content-length}'"),
      "200 3000000");
  EXPECT_TRUE(inspected.failures.empty()) << inspected.failures[0];
  ASSERT_GE(inspected.records.size(), 7U);
  EXPECT_EQ(inspected.records[4].method, "PUT");
  EXPECT_EQ(inspected.records[4].sent, 3'000'000U);
  EXPECT_EQ(inspected.records[4].status, 201U);
}

TEST(Inspect, PlainHttpLikewise) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost);
  inspected.upstream(nginx.plain_port());
  nginx.file("one", "hello");
  EXPECT_EQ(inspected.run("$CURL $URL/one; $CURL $URL/no", false),
            "hellodenied by no-rule; allow it\n");
}

TEST(Inspect, ADenialIsAnAnswer) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost);
  inspected.upstream(nginx.tls_port());
  nginx.file("one", "hello");
  EXPECT_EQ(inspected.run("$CURL $URL/no $URL/one -w '%{http_code} %{num_connects}\\n'"),
            "denied by no-rule; allow it\n403 1\nhello200 0\n");
  EXPECT_FALSE(nginx.log().contains("/no"));
}

TEST(Inspect, AHostThatIsNotTheServersIsRefused) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost);
  inspected.upstream(nginx.tls_port());
  auto heard = inspected.run("$CURL -H 'Host: b.example' $URL/one");
  EXPECT_TRUE(heard.contains("'b.example'")) << heard;
  EXPECT_EQ(nginx.log(), "");
}

TEST(Inspect, AServerThatCannotBeTrustedIs502) {
  struct Row {
    const char* name;
    const char* host;
    bool foreign;
    const char* reason;
  };
  for (const Row& row : {Row{"foreign", kHost, true, "unable to get local issuer certificate"},
                         Row{"name", "b.example", false, "hostname mismatch"}}) {
    Inspected inspected(0);
    auto foreign = TlsAuthority::make("foreign").value();
    Nginx nginx(row.foreign ? *foreign : *inspected.servers, row.host);
    inspected.upstream(nginx.tls_port());
    auto heard = inspected.run("$CURL $URL/one -w '%{http_code}'");
    EXPECT_TRUE(heard.starts_with("cannot trust 'a.example': ")) << row.name << ": " << heard;
    EXPECT_TRUE(heard.contains(row.reason)) << row.name << ": " << heard;
    EXPECT_TRUE(heard.ends_with("\n502")) << row.name << ": " << heard;
    EXPECT_EQ(nginx.log(), "") << row.name;
  }
  Inspected inspected(1);  // nobody listens there
  auto heard = inspected.run("$CURL $URL/one -w '%{http_code} %{http_version}'");
  EXPECT_TRUE(heard.ends_with("\n502 1.1")) << heard;
}

// By a client that offers it alone, which curl does not.
Task<> ask_over_http2(Inspected& inspected, std::string& status, std::string& text) {
  auto below = co_await dial(inspected.port());
  TlsClientSide side{
      TlsContext::client_trusting(inspected.inspector.authority->certificate_pem()).value(),
      kHost,
      {}};
  side.protocols.emplace_back("h2");
  auto stream = co_await TlsStream::connect(std::move(*below), std::move(side));
  EXPECT_TRUE(stream) << stream.error().message();
  if (!stream) co_return;
  Http2Peer client(inspected.loop.executor(), **stream, {});
  const auto asked =
      client.request({{":method", "GET"},
                      {":scheme", "https"},
                      {":authority", kHost + (":" + std::to_string(inspected.port()))},
                      {":path", "/one"}});
  while (!client.ended && !client.streams[asked].closed)
    co_await pause(std::chrono::milliseconds(5));
  status = client.streams[asked].status();
  text = client.streams[asked].body;
  (*stream)->reset();
  co_await client.stop();
  write_file_atomically(inspected.directory / "done", "").value();
}

TEST(Inspect, AClientOfHttp2OnlyHearsInItThatThereIsNoServer) {
  Inspected inspected(1);  // nobody listens there
  std::string status;
  std::string text;
  inspected.loop.spawn(ask_over_http2(inspected, status, text));
  const std::string done = inspected.directory / "done";
  inspected.run("until [ -e " + done + " ]; do sleep 0.02; done");
  EXPECT_EQ(status, "502");
  EXPECT_TRUE(text.contains("127.0.0.1")) << text;
  ASSERT_EQ(inspected.records.size(), 1U);
  EXPECT_EQ(inspected.records[0].protocol, "HTTP/2");
}

TEST(Inspect, AServerWithoutHttp1Is502) {
  Inspected inspected(0);
  write_identity(inspected.directory, *inspected.servers, kHost);
  const auto port = free_port();
  inspected.upstream(port);
  auto server = capsem::Process::start(
      {.argv = {"openssl", "s_server", "-accept", "127.0.0.1:" + std::to_string(port), "-cert",
                inspected.directory / "cert.pem", "-key", inspected.directory / "key.pem", "-alpn",
                "h2", "-www", "-quiet"},
       .die_with_parent = true});
  ASSERT_TRUE(server && listens(port));
  auto heard = inspected.run("$CURL --http1.1 $URL/one -w '%{http_code}'");
  // openssl ignores what it does not know, and answers; a server that insists is an error.
  EXPECT_TRUE(heard.ends_with("200") || heard.ends_with("502")) << heard;
}

TEST(Inspect, AClientThatTrustsOthersOnlyIsTold) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost);
  inspected.upstream(nginx.tls_port());
  auto heard = inspected.run("curl -sS --noproxy '*' --resolve a.example:$PORT:127.0.0.1 $URL/one");
  EXPECT_TRUE(heard.contains("certificate")) << heard;
  ASSERT_EQ(inspected.failures.size(), 1U);
  EXPECT_TRUE(inspected.failures[0].contains("unknown ca")) << inspected.failures[0];
}

TEST(Inspect, AClientOfHttp2OnlyGetsAnAlert) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost);
  inspected.upstream(nginx.tls_port());
  auto heard = inspected.run(
      "sleep 0.3 | openssl s_client -connect 127.0.0.1:$PORT -servername a.example -alpn h2");
  EXPECT_TRUE(heard.contains("no application protocol")) << heard;
  heard = inspected.run("$CURL --http2 $URL/ -o /dev/null -w '%{http_version}'");
  EXPECT_EQ(heard, "1.1");
}

TEST(Inspect, CurlFetchesOverHttp2) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost, "TLSv1.2 TLSv1.3", "http2");
  inspected.upstream(nginx.tls_port());
  nginx.file("one", "hello");
  nginx.file("large", std::string(3'000'000, 'x'));
  const std::string show = " -w ' %{num_connects} %{http_version} %{http_code}\\n'";
  EXPECT_EQ(inspected.run("$CURL $URL/one $URL/no $URL/one" + show),
            "hello 1 2 200\ndenied by no-rule; allow it\n 0 2 403\nhello 0 2 200\n");
  // Bodies of denied requests, one of which is not sent to its end.
  EXPECT_EQ(inspected.run("$CURL -d x $URL/no" + show +
                          "; head -c 3000000 /dev/zero | "
                          "$CURL -T - $URL/no" +
                          show),
            "denied by no-rule; allow it\n 1 2 403\ndenied by no-rule; allow it\n 1 2 403\n");
  EXPECT_EQ(inspected.run("$CURL --http1.1 $URL/one" + show), "hello 1 1.1 200\n");
  EXPECT_EQ(inspected.run("$CURL $URL/large | wc -c"), "3000000\n");
  EXPECT_EQ(inspected.run("head -c 3000000 /dev/zero | $CURL -T - $URL/put/x -o /dev/null "
                          "-w '%{http_code}'; $CURL $URL/put/x | wc -c"),
            "2013000000\n");
  EXPECT_EQ(inspected.run("$CURL -I $URL/large -o /dev/null -w '%{http_code} "
                          "%header{content-length}'"),
            "200 3000000");
  EXPECT_TRUE(inspected.failures.empty()) << inspected.failures[0];
  EXPECT_FALSE(nginx.log().contains("/no"));
  ASSERT_GE(inspected.records.size(), 9U);
  const auto& put = inspected.records[7];
  EXPECT_EQ(put.method, "PUT");
  EXPECT_EQ(put.sent, 3'000'000U);
  EXPECT_EQ(put.status, 201U);
  EXPECT_EQ(put.protocol, "HTTP/2");
  EXPECT_EQ(put.failure, "");
}

// nginx goes away after 1,000 requests of a connection, and curl asks on another one; what it has
// just sent then fails now and then, as with any server that closes.
TEST(Inspect, ManyRequestsAtOnceOverHttp2AndAServerThatGoesAway) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost, "TLSv1.2 TLSv1.3", "http2");
  inspected.upstream(nginx.tls_port());
  nginx.file("one", "hello\n");
  const auto heard = inspected.run(
      "$CURL --no-progress-meter --retry 3 --retry-all-errors --retry-delay 1 -Z --parallel-max 50 "
      "\"$URL/one?[1-2500]\" | sort | uniq -c");
  std::map<std::string, int> failures;
  for (const auto& record : inspected.records) ++failures[record.failure];
  EXPECT_TRUE(heard.ends_with(" 2500 hello\n")) << heard << ::testing::PrintToString(failures);
  EXPECT_EQ(std::ranges::count(inspected.records, "HTTP/2", &RequestRecord::protocol),
            static_cast<std::ptrdiff_t>(inspected.records.size()));
}

TEST(Inspect, OldAndNewTlsUpstream) {
  for (std::string version : {"TLSv1.2", "TLSv1.3"}) {
    Inspected inspected(0);
    Nginx nginx(*inspected.servers, kHost, version);
    inspected.upstream(nginx.tls_port());
    nginx.file("one", "hello");
    EXPECT_EQ(inspected.run("$CURL $URL/one"), "hello") << version;
    EXPECT_EQ(inspected.run("$CURL --tls-max 1.2 $URL/one"), "hello") << version;
  }
}

TEST(Inspect, ManyConnectionsAtOnce) {
  Inspected inspected(0);
  Nginx nginx(*inspected.servers, kHost);
  inspected.upstream(nginx.tls_port());
  nginx.file("one", "hello\n");
  auto heard =
      inspected.run("$CURL --no-progress-meter -Z --parallel-max 50 \"$URL/one?[1-300]\" | wc -l");
  EXPECT_EQ(heard, "300\n");
  EXPECT_EQ(inspected.records.size(), 300U);
}

}  // namespace
}  // namespace capsem::host::net
