// The network as the guest's proxy sees it: streams in place of its vsock connections, a TCP server
// on 127.0.0.1 and a name server behind it.
#include "host/net/guest_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "host/net/tls_stream.h"
#include "tests/async/loop.h"
#include "tests/host/net/client_hello.h"
#include "tests/host/net/http2_peer.h"
#include "tests/host/net/loopback.h"
#include "tests/host/net/name_server.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::host::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using StreamPointer = std::unique_ptr<async::Stream>;

const std::string kToken(wire::kNetTokenBytes, 't');
constexpr std::string_view kLoopback("\x7F\0\0\1", 4);
constexpr std::string_view kAccessDenied("\x15\x03\x03\0\x02\x02\x31", 7);

template <class Envelope, class Message>
std::string frame(Message message) {
  return wire::encode<Envelope>(Envelope(std::move(message))).value();
}

std::string rule(const std::string& host, const std::string& port, const std::string& more = {}) {
  return "[[rule]]\naction = \"allow\"\nhost = \"" + host + "\"\nport = " + port + "\n" + more;
}

std::string hello_for(const std::string& name) {
  return openssl_hello([&](SSL_CTX*, SSL* ssl) { SSL_set_tlsext_host_name(ssl, name.c_str()); });
}

Task<> fetch(async::Stream& from, bool& ended, std::string& text) {
  text = co_await testing::read_to_end(from);
  ended = true;
}

class GuestNetworkTest : public ::testing::Test {
 protected:
  // The test's own ends are closed by now, and the network goes before the loop.
  void TearDown() override { loop.run(seconds(20)); }

  static Policy policy(const std::string& text) { return Policy::parse(text, "test.toml").value(); }
  std::string port_of(const testing::Listener& one) { return std::to_string(one.port()); }
  Policy by_address() { return policy(rule("127.0.0.1", port_of(listener))); }

  // good.example and what `more` allows lead to the listener, and nothing goes there as an address.
  void allow_by_name(const std::string& more = {}) {
    names.add("good.example", {"127.0.0.1"});
    network.token().set(kToken);
    const auto port = port_of(listener);
    network.change(policy(rule("good.example", port) + more +
                          "[[rule]]\naction = \"deny\"\nhost = \"*\"\nport = " + port + "\n" +
                          rule("127.0.0.1", port)));
    answers_of(query(1, "good.example"));
  }

  // A connection whose first message is `first`.
  StreamPointer begin(const std::string& first) {
    auto [near, far] = testing::connected(loop.executor());
    loop.spawn(network.serve_flow(std::move(far)));
    EXPECT_TRUE(loop.get(testing::write(*near, first)));
    return std::move(near);
  }
  wire::NetOpen open_to(std::uint32_t port) const {
    return {.token = kToken,
            .address = std::string(kLoopback),
            .port = port,
            .pid = 7,
            .uid = 1000,
            .executable = "/usr/bin/curl"};
  }
  StreamPointer connect(std::uint16_t port, const std::string& text) {
    return begin(frame<wire::GuestNet>(open_to(port)) + text);
  }
  // That goes to the server, which has read `text` of it.
  std::pair<StreamPointer, StreamPointer> joined(testing::Listener& to, const std::string& text) {
    auto guest = connect(to.port(), text);
    auto server = loop.get(to.accept());
    std::string read;
    while (read.size() < text.size()) read += read_one(*server);
    EXPECT_EQ(read, text);
    return {std::move(guest), std::move(server)};
  }
  std::string read_one(async::Stream& from) {
    std::vector<std::byte> buffer(4096);
    auto size = loop.get(from.read_some(buffer));
    EXPECT_TRUE(size && *size > 0);
    return std::string(as_text(std::span(buffer).first(size.value_or(0))));
  }
  void send(async::Stream& to, const std::string& text) {
    EXPECT_TRUE(loop.get(testing::write(to, text)));
  }
  std::string rest_of(async::Stream& from) { return loop.get(testing::read_to_end(from)); }
  bool is_open(async::Stream& guest, async::Stream& server) {
    send(guest, "still there?");
    return read_one(server) == "still there?";
  }

  // Who asks what is shown next.
  Process asked_of() {
    loop.run_until([&] { return network.questions().current() != nullptr; });
    const auto& question = network.questions().current()->question;
    what_ = what_of(question);
    return question.flow.process;
  }

  // The service of names, as the proxy opens it.
  StreamPointer begin_dns(const std::string& first) {
    auto [near, far] = testing::connected(loop.executor());
    loop.spawn(network.serve_dns(std::move(far)));
    EXPECT_TRUE(loop.get(testing::write(*near, first)));
    return std::move(near);
  }
  static std::string query(std::uint32_t id, const std::string& name) {
    auto message = question(name, RecordType::kA);
    return frame<wire::GuestDns>(
        wire::DnsQuery{.id = id, .message = std::string(as_text(message)), .stream = false});
  }
  static std::string opened(const std::string& token = kToken) {
    return frame<wire::GuestDns>(wire::DnsOpen{.token = token});
  }
  // What is answered to `queries`, by its id.
  std::map<std::uint32_t, Reply> answers_of(const std::string& queries) {
    auto guest = begin_dns(opened() + queries);
    return loop.get(read_answers(*guest, queries));
  }

  NameServer names;
  std::unique_ptr<TlsAuthority> servers = TlsAuthority::make("servers").value();
  async::Loop loop;
  testing::Listener listener{loop.executor()};
  testing::Listener other{loop.executor()};
  std::vector<std::string> denied;
  std::string what_;
  std::string of_host = "93.184.216.34";
  audit::NoSink audit;
  GuestNetwork network{loop.executor(),
                       {.policy = {},
                        .name = "test",
                        .trusted = servers->certificate_pem(),
                        .resolver = {.lookup = {.servers = names.address(),
                                                .limit = seconds(2),
                                                .server_limit = milliseconds(200),
                                                .rounds = 2}},
                        .is_host_address = [this](const Address& address) -> Result<bool> {
                          return address == boost::asio::ip::make_address(of_host) ||
                                 address.is_loopback();
                        }},
                       audit,
                       [this](const Denial& denial) { denied.push_back(denial.text()); }};

 private:
  // As many as there were queries.
  static Task<std::map<std::uint32_t, Reply>> read_answers(async::Stream& guest,
                                                           std::string queries) {
    std::size_t left = 0;
    for (std::size_t at = 0; at < queries.size(); ++left) {
      auto prefix = as_bytes(queries).subspan(at).first<wire::kPrefixBytes>();
      at += wire::kPrefixBytes + wire::size_in(prefix);
    }
    std::map<std::uint32_t, Reply> replies;
    wire::MessageDecoder<wire::HostDns> decoder;
    while (replies.size() < left) {
      auto message = decoder.next();
      EXPECT_TRUE(message);
      if (!message) break;
      if (*message) {
        const auto& answer = std::get<wire::DnsAnswer>(**message);
        replies[answer.id] = read_reply(message_of(answer.message));
        continue;
      }
      auto size = co_await guest.read_some(decoder.prepare());
      EXPECT_TRUE(size && *size > 0) << replies.size() << " of " << left;
      if (!size || *size == 0) break;
      decoder.commit(*size);
    }
    co_return replies;
  }
};

// ---- who may open a connection

TEST_F(GuestNetworkTest, CarriesAConnectionThatARuleAllows) {
  network.token().set(kToken);
  network.change(by_address());
  auto [guest, server] = joined(listener, "hello");
  EXPECT_EQ(network.flows(), 1U);
  send(*server, "welcome");
  EXPECT_EQ(read_one(*guest), "welcome");
  EXPECT_TRUE(is_open(*guest, *server));
  guest.reset();
  server.reset();
  loop.run();
  EXPECT_EQ(network.flows(), 0U);
  EXPECT_THAT(denied, IsEmpty());
}

TEST_F(GuestNetworkTest, OnlyWhoHasTheTokenOpensOne) {
  network.token().set(kToken);
  network.change(by_address());
  auto nearly = kToken;
  nearly.back() = 'u';
  for (const auto& token : {std::string(), nearly, kToken.substr(1), std::string(32, '\0')}) {
    auto open = open_to(listener.port());
    open.token = token;
    auto guest = begin(frame<wire::GuestNet>(open) + "hello");
    EXPECT_EQ(rest_of(*guest), "");
  }
  loop.run();
  EXPECT_THAT(denied, IsEmpty());
  // The next one that is accepted would be one of those.
  EXPECT_EQ(joined(listener, "with it").first != nullptr, true);
}

TEST_F(GuestNetworkTest, ATokenThatComesLateIsWaitedFor) {
  network.change(by_address());
  auto guest = connect(listener.port(), "hello");
  loop.context().run_for(milliseconds(100));
  EXPECT_EQ(network.flows(), 0U);
  network.token().set(kToken);
  auto server = loop.get(listener.accept());
  EXPECT_EQ(read_one(*server), "hello");
}

TEST_F(GuestNetworkTest, TheFirstTokenCounts) {
  network.token().set(kToken);
  network.token().set(std::string(wire::kNetTokenBytes, 'x'));
  network.change(by_address());
  EXPECT_EQ(joined(listener, "hello").first != nullptr, true);
}

TEST_F(GuestNetworkTest, AnEmptyTokenIsNone) {
  network.token().set("");
  network.change(by_address());
  auto open = open_to(listener.port());
  open.token = "";
  auto guest = begin(frame<wire::GuestNet>(open) + "hello");
  EXPECT_EQ(rest_of(*guest), "");
  auto dns = begin_dns(opened("") + query(1, "a.example"));
  EXPECT_EQ(rest_of(*dns), "");
}

TEST_F(GuestNetworkTest, WhoSaysNothingIsDroppedAfterAWhile) {
  network.token().set(kToken);
  auto began = std::chrono::steady_clock::now();
  auto flow = begin("\1");
  auto dns = begin_dns("\1");
  loop.run();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2 * GuestNetwork::kFirstMessageLimit);
  EXPECT_EQ(rest_of(*flow), "");
  EXPECT_EQ(rest_of(*dns), "");
}

TEST_F(GuestNetworkTest, WhatIsNoOpeningMessageEndsTheConnection) {
  network.token().set(kToken);
  network.change(by_address());
  auto no_port = open_to(0);
  auto large_port = open_to(65536 + listener.port());
  auto no_address = open_to(listener.port());
  no_address.address = "12345";
  const std::string rows[] = {
      std::string("\xFF\xFF\xFF\x7F", 4),
      std::string("\x04\0\0\0junk", 8),
      std::string(4, '\0'),
      opened(),
      frame<wire::GuestNet>(no_port),
      frame<wire::GuestNet>(large_port),
      frame<wire::GuestNet>(no_address),
  };
  for (const auto& row : rows) {
    auto guest = begin(row + "hello");
    EXPECT_EQ(rest_of(*guest), "") << ::testing::PrintToString(row);
  }
  loop.run();
}

// ---- what goes through

TEST_F(GuestNetworkTest, AHalfClosedConnectionGoesOnTheOtherWay) {
  network.token().set(kToken);
  network.change(by_address());
  auto [guest, server] = joined(listener, "all I have");
  guest->shutdown_write();
  EXPECT_EQ(rest_of(*server), "");
  send(*server, "the answer");
  EXPECT_EQ(read_one(*guest), "the answer");
  send(*server, "and more");
  server->shutdown_write();
  EXPECT_EQ(rest_of(*guest), "and more");
  loop.run();
  EXPECT_EQ(network.flows(), 0U);
}

TEST_F(GuestNetworkTest, AServerMaySpeakFirst) {
  network.token().set(kToken);
  network.change(by_address());
  auto guest = connect(listener.port(), "");
  auto server = loop.get(listener.accept());
  send(*server, "220 ready");
  EXPECT_EQ(read_one(*guest), "220 ready");
}

int add_extension(SSL*, unsigned, unsigned, const unsigned char** out, std::size_t* size, X509*,
                  std::size_t, int*, void*) {
  static constexpr std::array<unsigned char, 8> kContent{0, 0, 1, 0, 1, 7};
  *out = kContent.data();
  *size = kContent.size();
  return 1;
}

// As clients send it that have nothing to encrypt: draft-ietf-tls-esni, "GREASE ECH".
TEST_F(GuestNetworkTest, AnEncryptedHelloIsAcceptedWhereItIsInspected) {
  constexpr unsigned kEncryptedClientHello = 0xFE0D;
  loop.spawn(network.prepare());
  names.add("seen.example", {"127.0.0.1"});
  allow_by_name(rule("seen.example", port_of(listener), "tls = \"inspect\"\n"));
  answers_of(query(1, "seen.example"));
  auto hello_of = [&](const char* name) {
    return openssl_hello([&](SSL_CTX*, SSL* ssl) { SSL_set_tlsext_host_name(ssl, name); },
                         [&](SSL_CTX* context) {
                           SSL_CTX_add_custom_ext(context, kEncryptedClientHello,
                                                  SSL_EXT_CLIENT_HELLO, add_extension, nullptr,
                                                  nullptr, nullptr, nullptr);
                         });
  };
  auto passed = connect(listener.port(), hello_of("good.example"));
  EXPECT_EQ(rest_of(*passed), kAccessDenied);
  EXPECT_THAT(denied, ElementsAre(HasSubstr("may hide another name")));
  auto inspected = connect(listener.port(), hello_of("seen.example"));
  loop.get(listener.accept())->reset();
  // The hello of our side, and no alert.
  EXPECT_EQ(read_one(*inspected).substr(0, 1), "\x16");
}

// ---- what a client says late

TEST_F(GuestNetworkTest, ATlsClientThatWaitsIsJudgedByItsNameAllTheSame) {
  allow_by_name();
  auto guest = connect(listener.port(), "");
  auto server = loop.get(listener.accept());
  send(*guest, hello_for("evil.example"));
  EXPECT_EQ(rest_of(*guest), kAccessDenied);
  EXPECT_EQ(rest_of(*server), "");
  EXPECT_THAT(denied, ElementsAre(HasSubstr("refused evil.example:")));
}

TEST_F(GuestNetworkTest, ATlsClientThatWaitsGoesOnUnderAnAllowedName) {
  allow_by_name();
  auto guest = connect(listener.port(), "");
  auto server = loop.get(listener.accept());
  const auto hello = hello_for("good.example");
  send(*guest, hello.substr(0, 20));
  loop.context().restart();
  loop.context().run_for(milliseconds(50));
  send(*guest, hello.substr(20));
  std::string read;
  while (read.size() < hello.size()) read += read_one(*server);
  EXPECT_EQ(read, hello);
  EXPECT_TRUE(is_open(*guest, *server));
  EXPECT_THAT(denied, IsEmpty());
}

TEST_F(GuestNetworkTest, ATlsClientAfterItsServerIsJudgedToo) {
  allow_by_name();
  auto guest = connect(listener.port(), "");
  auto server = loop.get(listener.accept());
  send(*server, "220 ready");
  EXPECT_EQ(read_one(*guest), "220 ready");
  send(*guest, hello_for("evil.example"));
  EXPECT_EQ(rest_of(*guest), "");
  EXPECT_EQ(rest_of(*server), "");
  EXPECT_THAT(denied, ElementsAre(HasSubstr("refused evil.example:")));
}

TEST_F(GuestNetworkTest, WhatWouldHaveToBeInspectedComesTooLateAfterItsServer) {
  names.add("seen.example", {"127.0.0.1"});
  allow_by_name(rule("seen.example", port_of(listener), "tls = \"inspect\"\n"));
  answers_of(query(1, "seen.example"));
  auto guest = connect(listener.port(), "");
  auto server = loop.get(listener.accept());
  send(*server, "220 ready");
  EXPECT_EQ(read_one(*guest), "220 ready");
  send(*guest, hello_for("seen.example"));
  EXPECT_EQ(rest_of(*guest), "");
  EXPECT_EQ(rest_of(*server), "");
  EXPECT_THAT(denied, ElementsAre(HasSubstr("its server was the first to speak")));
}

TEST_F(GuestNetworkTest, ARequestThatComesLateIsJudgedLikeAnother) {
  loop.spawn(network.prepare());
  allow_by_name();
  auto guest = connect(listener.port(), "");
  auto server = loop.get(listener.accept());
  send(*guest, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  EXPECT_EQ(rest_of(*server), "");
  EXPECT_THAT(read_one(*guest), HasSubstr(" 403 "));
}

TEST_F(GuestNetworkTest, WhereOnlyInspectionAllowsASilentClientIsWaitedFor) {
  loop.spawn(network.prepare());
  names.add("seen.example", {"127.0.0.1"});
  network.token().set(kToken);
  network.change(policy(rule("seen.example", port_of(listener), "tls = \"inspect\"\n") +
                        "[[rule]]\naction = \"deny\"\nhost = \"*\"\n" +
                        rule("127.0.0.1", port_of(listener))));
  answers_of(query(1, "seen.example"));
  auto guest = connect(listener.port(), "");
  loop.context().restart();
  loop.context().run_for(2 * OpeningLimits().server_first);
  send(*guest, hello_for("seen.example"));
  // The server's certificate is what is asked for first.
  auto server = loop.get(listener.accept());
  EXPECT_EQ(read_one(*server).substr(0, 1), "\x16");
}

TEST_F(GuestNetworkTest, ALateWordThatIsNeitherGoesThrough) {
  allow_by_name();
  auto guest = connect(listener.port(), "");
  auto server = loop.get(listener.accept());
  send(*server, "220 ready");
  EXPECT_EQ(read_one(*guest), "220 ready");
  send(*guest, "HELO me\r\n");
  EXPECT_EQ(read_one(*server), "HELO me\r\n");
  EXPECT_TRUE(is_open(*guest, *server));
}

TEST_F(GuestNetworkTest, AClientThatEndsItsSideWithoutAWordHearsItsServer) {
  network.token().set(kToken);
  network.change(by_address());
  auto guest = connect(listener.port(), "");
  guest->shutdown_write();
  auto server = loop.get(listener.accept());
  EXPECT_EQ(rest_of(*server), "");
  send(*server, "the time is 12:00");
  server->shutdown_write();
  EXPECT_EQ(rest_of(*guest), "the time is 12:00");
  loop.run();
  EXPECT_EQ(network.flows(), 0U);
  EXPECT_THAT(denied, IsEmpty());
}

TEST_F(GuestNetworkTest, AnEndAmongTheFirstWordsIsPassedOn) {
  network.token().set(kToken);
  network.change(by_address());
  for (const auto late : {milliseconds(0), 2 * OpeningLimits().server_first}) {
    auto guest = connect(listener.port(), "");
    loop.context().restart();
    loop.context().run_for(late);
    send(*guest, "QUIT");  // which may be the begin of a request line
    guest->shutdown_write();
    auto server = loop.get(listener.accept());
    EXPECT_EQ(rest_of(*server), "QUIT");
    send(*server, "bye");
    EXPECT_EQ(read_one(*guest), "bye");
  }
}

TEST_F(GuestNetworkTest, AServerThatIsNotThereIsAReset) {
  network.token().set(kToken);
  network.change(by_address());
  const auto port = listener.port();
  listener.close();
  auto guest = connect(port, "hello");
  EXPECT_EQ(rest_of(*guest), "");
  loop.run();
  EXPECT_THAT(denied, IsEmpty());
}

// ---- what does not

TEST_F(GuestNetworkTest, TlsThatIsRefusedIsToldByAnAlertAndTheEnd) {
  network.token().set(kToken);
  auto guest = connect(443, hello_for("secret.example"));
  EXPECT_EQ(rest_of(*guest), kAccessDenied);
  guest->shutdown_write();
  loop.run();
  EXPECT_THAT(denied, ElementsAre("the network refused secret.example:443 (/usr/bin/curl): no rule "
                                  "is for secret.example; to allow it: --allow secret.example"));
}

TEST_F(GuestNetworkTest, AClientThatStaysAfterTheAlertIsNotWaitedForLong) {
  network.token().set(kToken);
  auto guest = connect(443, hello_for("secret.example"));
  auto began = std::chrono::steady_clock::now();
  loop.run();
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(4));
}

TEST_F(GuestNetworkTest, OtherThingsThatAreRefusedAreReset) {
  network.token().set(kToken);
  auto guest = connect(listener.port(), "hello");
  EXPECT_EQ(rest_of(*guest), "");
  loop.run();
  EXPECT_THAT(denied, ElementsAre(HasSubstr("refused 127.0.0.1:" + port_of(listener))));
  EXPECT_THAT(denied, ElementsAre(HasSubstr("no rule is for this address, which is loopback")));
}

TEST_F(GuestNetworkTest, AnAddressOfTheHostsOwnIsReachedByNoName) {
  names.add("good.example", {of_host});
  network.token().set(kToken);
  loop.spawn(network.prepare());
  network.change(policy(rule("good.example", "[80, 443]")));
  answers_of(query(1, "good.example"));
  auto open = open_to(443);
  open.address = "\x5D\xB8\xD8\x22";
  EXPECT_EQ(rest_of(*begin(frame<wire::GuestNet>(open) + hello_for("good.example"))),
            kAccessDenied);
  open.port = 80;
  auto http = begin(frame<wire::GuestNet>(open) + "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n");
  EXPECT_THAT(read_one(*http), AllOf(HasSubstr(" 403 "), HasSubstr("the host's own")));
  EXPECT_THAT(denied, Each(HasSubstr("the address 93.184.216.34 is the host's own")));
}

TEST_F(GuestNetworkTest, AnAddressOfTheHostsOwnIsReachedByNoNetworkAroundIt) {
  network.token().set(kToken);
  network.change(policy(rule("93.184.216.0/24", "2222")));
  auto open = open_to(2222);
  open.address = "\x5D\xB8\xD8\x22";
  EXPECT_EQ(rest_of(*begin(frame<wire::GuestNet>(open) + "hello")), "");
  EXPECT_THAT(denied, ElementsAre(HasSubstr("for exactly this address, which is the host's own")));
}

TEST_F(GuestNetworkTest, AProcessIsWhatTheProxySays) {
  network.token().set(kToken);
  const auto curl_alone = rule("127.0.0.1", port_of(listener), "process = \"*/curl\"\n");
  network.change(policy(curl_alone));
  auto wget = open_to(listener.port());
  wget.executable = "/usr/bin/wget";
  EXPECT_EQ(rest_of(*begin(frame<wire::GuestNet>(wget) + "hello")), "");
  EXPECT_EQ(joined(listener, "by curl").first != nullptr, true);
}

// ---- another policy

TEST_F(GuestNetworkTest, AnotherPolicyEndsWhatItDoesNotAllowAndKeepsTheRest) {
  network.token().set(kToken);
  const auto first = rule("127.0.0.1", port_of(listener));
  const auto second = rule("127.0.0.1", port_of(other));
  network.change(policy(first + second));
  auto [kept, kept_server] = joined(listener, "kept");
  auto [ended, ended_server] = joined(other, "ended");
  network.change(policy(first));
  EXPECT_EQ(rest_of(*ended), "");
  EXPECT_EQ(rest_of(*ended_server), "");
  EXPECT_TRUE(is_open(*kept, *kept_server));
  EXPECT_EQ(network.flows(), 1U);
  network.change(Policy());
  EXPECT_EQ(rest_of(*kept), "");
  loop.run();
  EXPECT_EQ(network.flows(), 0U);
}

TEST_F(GuestNetworkTest, AnotherPolicyMakesWhatWasRefusedWorthTelling) {
  network.token().set(kToken);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(rest_of(*connect(listener.port(), "hello")), "");
  EXPECT_EQ(denied.size(), 1U);
  network.change(Policy());
  EXPECT_EQ(rest_of(*connect(listener.port(), "hello")), "");
  EXPECT_EQ(denied.size(), 2U);
}

TEST_F(GuestNetworkTest, AConnectionByNameEndsWithItsNameOrItsAddress) {
  names.add("good.example", {"127.0.0.1"});
  network.token().set(kToken);
  const auto name = rule("good.example", port_of(listener));
  // Which lets the name lead there, and nothing pass that is for the address as such.
  const auto inspected = rule("127.0.0.1", port_of(listener), "tls = \"inspect\"\n");
  network.change(policy(name + inspected));
  EXPECT_THAT(answers_of(query(1, "good.example"))[1].addresses, ElementsAre("127.0.0.1"));
  const auto hello = hello_for("good.example");

  auto [by_name, server1] = joined(listener, hello);
  network.change(policy(name + inspected + rule("more.example", "443")));
  EXPECT_TRUE(is_open(*by_name, *server1));
  // The address is an inner one, which the name alone does not allow.
  network.change(policy(name + rule("127.0.0.1", "1")));
  EXPECT_EQ(rest_of(*by_name), "");

  network.change(policy(name + inspected));
  auto [again, server2] = joined(listener, hello);
  // A rule for the very address asks for no name.
  const std::string no_name = "[[rule]]\naction = \"deny\"\nhost = \"good.example\"\n";
  network.change(policy(no_name + rule("127.0.0.1", port_of(listener))));
  EXPECT_TRUE(is_open(*again, *server2));
  network.change(policy(no_name + inspected));
  EXPECT_EQ(rest_of(*again), "");
}

// A client and a server that speak HTTP/2 over TLS, with the network between them.
struct Http2Ends {
  std::unique_ptr<TlsStream> client_stream;
  StreamPointer server_below;
  std::unique_ptr<TlsStream> server_stream;
  std::optional<testing::Http2Peer> client;
  std::optional<testing::Http2Peer> server;
};

Task<> connect_http2(StreamPointer below, std::string authority, Http2Ends& ends) {
  TlsClientSide side{TlsContext::client_trusting(authority).value(), "good.example", {}};
  side.protocols.emplace_back("h2");
  auto stream = co_await TlsStream::connect(std::move(below), std::move(side));
  EXPECT_TRUE(stream) << stream.error().message();
  ends.client_stream = std::move(*stream);
  ends.client.emplace(co_await testing::asio::this_coro::executor, *ends.client_stream,
                      testing::Http2Peer::Options());
}

Task<> accept_http2(testing::Listener& listener, TlsAuthority& authority, Http2Ends& ends) {
  ends.server_below = co_await listener.accept();
  TlsServerSide side{TlsContext::server().value(), authority.leaf("good.example").value(), {}};
  side.choose_protocol = [](const std::vector<std::string>&) { return std::string("h2"); };
  auto stream = co_await TlsStream::accept(*ends.server_below, {}, std::move(side));
  EXPECT_TRUE(stream) << stream.error().message();
  ends.server_stream = std::move(*stream);
  ends.server.emplace(co_await testing::asio::this_coro::executor, *ends.server_stream,
                      testing::Http2Peer::Options{.server = true});
}

TEST_F(GuestNetworkTest, AnotherPolicyEndsARequestOfHttp2AndNotItsConnection) {
  names.add("good.example", {"127.0.0.1"});
  network.token().set(kToken);
  loop.spawn(network.prepare());
  const auto address = rule("127.0.0.1", port_of(listener), "path = \"/address\"\n");
  auto paths = [&](const std::string& list) {
    return policy(rule("good.example", port_of(listener), "path = [" + list + "]\n") + address);
  };
  network.change(paths("\"/one\", \"/two\""));
  EXPECT_THAT(answers_of(query(1, "good.example"))[1].addresses, ElementsAre("127.0.0.1"));
  const auto authority = loop.get(network.certificate()).value();

  Http2Ends ends;
  loop.spawn(accept_http2(listener, *servers, ends));
  loop.spawn(connect_http2(connect(listener.port(), ""), authority, ends));
  loop.run_until([&] { return ends.client && ends.server; });
  auto get = [&](const std::string& path) {
    return ends.client->request({{":method", "GET"},
                                 {":scheme", "https"},
                                 {":authority", "good.example:" + port_of(listener)},
                                 {":path", path}});
  };
  const auto one = get("/one");
  const auto two = get("/two");
  loop.run_until([&] { return ends.server->requests.size() == 2; });
  network.change(paths("\"/two\""));
  loop.run_until([&] { return ends.client->streams[one].closed; });
  EXPECT_EQ(ends.client->streams[one].error, NGHTTP2_CANCEL);
  for (auto stream : ends.server->requests)
    if (!ends.server->streams[stream].closed)
      ends.server->answer(stream, {{":status", "200"}}, "ok");
  loop.run_until([&] { return ends.client->streams[two].closed; });
  EXPECT_EQ(ends.client->streams[two].body, "ok");
  const auto again = get("/one");
  loop.run_until([&] { return ends.client->streams[again].closed; });
  EXPECT_EQ(ends.client->streams[again].status(), "403");
  EXPECT_EQ(network.flows(), 1U);

  ends.client_stream->reset();
  loop.run_until([&] { return network.flows() == 0 && ends.server->ended; });
  loop.spawn(ends.client->stop());
  loop.spawn(ends.server->stop());
  loop.run();
}

TEST_F(GuestNetworkTest, AClientThatEndsWithoutAWordIsNotWaitedForWhereItWouldBeInspected) {
  network.token().set(kToken);
  loop.spawn(network.prepare());
  network.change(policy(rule("127.0.0.1", port_of(listener), "tls = \"inspect\"\n")));
  auto guest = connect(listener.port(), "");
  guest->shutdown_write();
  EXPECT_EQ(rest_of(*guest), "");
  loop.run(seconds(5));
  EXPECT_EQ(network.flows(), 0U);
}

// ---- what is asked about

TEST_F(GuestNetworkTest, AConnectionThatNoRuleDecidesIsHeldUntilItsAnswer) {
  network.token().set(kToken);
  const Questions::Listener person(network.questions());
  auto guest = connect(listener.port(), "hello");
  EXPECT_EQ(asked_of().executable, "/usr/bin/curl");
  EXPECT_TRUE(network.answer(1, true));
  auto server = loop.get(listener.accept());
  EXPECT_EQ(read_one(*server), "hello");
  // Not asked again, and also true of another policy.
  network.change(policy(rule("more.example", "443")));
  EXPECT_TRUE(is_open(*guest, *server));
  EXPECT_EQ(joined(listener, "again").first != nullptr, true);
  EXPECT_THAT(denied, IsEmpty());
  // But not of one that denies it.
  network.change(policy("[[rule]]\naction = \"deny\"\nhost = \"127.0.0.1\"\n"));
  EXPECT_EQ(rest_of(*guest), "");
}

TEST_F(GuestNetworkTest, AConnectionThatThePersonDeniesIsRefusedFromThenOn) {
  network.token().set(kToken);
  const Questions::Listener person(network.questions());
  auto guest = connect(listener.port(), "hello");
  asked_of();
  EXPECT_TRUE(network.answer(1, false));
  EXPECT_EQ(rest_of(*guest), "");
  EXPECT_EQ(rest_of(*connect(listener.port(), "hello")), "");
  EXPECT_FALSE(network.answer(2, true));
}

TEST_F(GuestNetworkTest, WhatARuleDeniesIsNotAskedAbout) {
  network.token().set(kToken);
  network.change(policy("[[rule]]\naction = \"deny\"\nhost = [\"127.0.0.1\", \"bad.example\"]\n"));
  const Questions::Listener person(network.questions());
  EXPECT_EQ(rest_of(*connect(listener.port(), "hello")), "");
  EXPECT_EQ(answers_of(query(1, "bad.example"))[1].code, 3U);
  EXPECT_EQ(network.questions().current(), nullptr);
}

TEST_F(GuestNetworkTest, ANameIsHeldUntilItsAnswerAndResolvedThen) {
  names.add("good.example", {"93.184.216.35"});
  network.token().set(kToken);
  const Questions::Listener person(network.questions());
  auto guest = begin_dns(opened() + query(1, "good.example") + query(2, "good.example"));
  loop.run_until([&] { return network.questions().current() != nullptr; });
  EXPECT_TRUE(network.questions().current()->of_name);
  EXPECT_EQ(names.asked(), 0);
  EXPECT_TRUE(network.answer(1, true));
  EXPECT_THAT(answers_of(query(3, "good.example"))[3].addresses, ElementsAre("93.184.216.35"));
  guest.reset();
  loop.run();
  EXPECT_EQ(network.policy()
                .connection("good.example", {.address = {}, .port = 443, .process = {}})
                .verdict,
            Verdict::kPass);
}

TEST_F(GuestNetworkTest, ARequestIsHeldUntilItsAnswer) {
  loop.spawn(network.prepare());
  names.add("good.example", {"127.0.0.1"});
  network.token().set(kToken);
  const auto port = port_of(listener);
  network.change(policy(rule("good.example", port, "method = \"GET\"\n") + rule("127.0.0.1", "1")));
  answers_of(query(1, "good.example"));
  const Questions::Listener person(network.questions());
  auto guest = connect(listener.port(), "POST /x HTTP/1.1\r\nHost: good.example:" + port +
                                            "\r\nContent-Length: 0\r\n\r\n");
  asked_of();
  EXPECT_EQ(what_, "POST good.example:" + port + "/x");
  EXPECT_TRUE(network.answer(1, false));
  EXPECT_THAT(read_one(*guest), HasSubstr(" 403 "));
}

// ---- names

TEST_F(GuestNetworkTest, AnswersManyQueriesEachByItsId) {
  network.token().set(kToken);
  network.change(policy(rule("*.good.example", "443")));
  std::string queries;
  constexpr std::uint32_t kQueries = 60;  // the resolver looks up 64 at a time
  for (std::uint32_t i = 0; i < kQueries; ++i) {
    const auto name = "n" + std::to_string(i) + ".good.example";
    names.add(name, {"93.184.216." + std::to_string(i)});
    queries += query(1000 + i, name) + query(5000 + i, "n" + std::to_string(i) + ".evil.example");
  }
  auto replies = answers_of(queries);
  ASSERT_EQ(replies.size(), 2 * kQueries);
  for (std::uint32_t i = 0; i < kQueries; ++i) {
    EXPECT_THAT(replies[1000 + i].addresses, ElementsAre("93.184.216." + std::to_string(i)));
    EXPECT_EQ(replies[5000 + i].code, 3U);
  }
  for (const auto& name : names.names()) EXPECT_THAT(name, HasSubstr("good.example"));
  EXPECT_THAT(denied, ::testing::Contains(HasSubstr("the name n7.evil.example")));
}

TEST_F(GuestNetworkTest, ASlowNameHoldsUpNoOther) {
  names.add("slow.good.example", RecordType::kA, {.answer = {}, .silent = true});
  names.add("fast.good.example", {"93.184.216.1"});
  network.token().set(kToken);
  network.change(policy(rule("*.good.example", "443")));
  auto guest = begin_dns(opened() + query(1, "slow.good.example") + query(2, "fast.good.example"));
  auto text = read_one(*guest);
  auto answer = wire::decode<wire::HostDns>(as_bytes(text).subspan(wire::kPrefixBytes));
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<wire::DnsAnswer>(*answer).id, 2U);
  guest.reset();
  loop.run();
}

TEST_F(GuestNetworkTest, AnInnerAddressIsToldWhereARuleOfAnyPortIsForIt) {
  names.add("inner.example", {"10.1.2.3", "10.1.2.4"});
  network.token().set(kToken);
  // As docs/network.md has it.
  network.change(
      policy("[[rule]]\naction = \"allow\"\nhost = \"inner.example\"\n"
             "[[rule]]\naction = \"allow\"\nhost = \"10.1.2.3\"\n"));
  EXPECT_THAT(answers_of(query(1, "inner.example"))[1].addresses, ElementsAre("10.1.2.3"));
}

TEST_F(GuestNetworkTest, AnAddressThatARuleDeniesToSomeIsToldToTheRest) {
  names.add("good.example", {"93.184.216.34", "93.184.216.35"});
  network.token().set(kToken);
  const std::string deny = "[[rule]]\naction = \"deny\"\nhost = ";
  network.change(policy(deny + "\"93.184.216.34\"\nport = 22\n" + deny + "\"93.184.216.35\"\n" +
                        rule("good.example", "443")));
  EXPECT_THAT(answers_of(query(1, "good.example"))[1].addresses, ElementsAre("93.184.216.34"));
}

TEST_F(GuestNetworkTest, NamesAreForWhoBeginsWithTheToken) {
  names.add("good.example", {"93.184.216.1"});
  network.token().set(kToken);
  network.change(policy(rule("good.example", "443")));
  const auto ask = query(1, "good.example");
  const std::string rows[] = {ask, opened(std::string(32, 'x')) + ask, opened("") + ask,
                              std::string("\xFF\xFF\xFF\x7F", 4), std::string("\x04\0\0\0junk", 8)};
  for (const auto& row : rows) {
    auto guest = begin_dns(row);
    EXPECT_EQ(rest_of(*guest), "") << ::testing::PrintToString(row);
  }
  loop.run();
  EXPECT_EQ(names.asked(), 0);
}

TEST_F(GuestNetworkTest, AQueryThatIsNoneIsAnsweredByNothing) {
  network.token().set(kToken);
  auto guest = begin_dns(opened() + frame<wire::GuestDns>(wire::DnsQuery{.id = 9, .message = "?"}));
  EXPECT_EQ(read_one(*guest), frame<wire::HostDns>(wire::DnsAnswer{.id = 9}));
}

// Only so much is kept of what is not read.
TEST_F(GuestNetworkTest, WhoDoesNotReadItsAnswersIsNotReadFrom) {
  network.token().set(kToken);
  constexpr std::uint32_t kQueries = 40'000;
  std::string queries;
  for (std::uint32_t i = 0; i < kQueries; ++i) queries += query(i, "denied.example");
  auto guest = begin_dns(opened());
  bool written = false;
  auto write_all = [&]() -> Task<> { written = co_await testing::write(*guest, queries); };
  loop.spawn(write_all());
  loop.context().restart();
  loop.context().run_for(seconds(1));
  EXPECT_FALSE(written) << "all of them were taken";
  std::string answers;
  bool ended = false;
  loop.spawn(fetch(*guest, ended, answers));
  loop.run_until([&] { return written; });
  guest->shutdown_write();
  loop.run_until([&] { return ended; });
}

}  // namespace
}  // namespace capsem::host::net
