#include "host/net/opening.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/async/loop.h"
#include "tests/host/net/client_hello.h"
#include "tests/host/net/loopback.h"

namespace capsem::host::net {
namespace {

using std::chrono::milliseconds;
using Kind = Opening::Kind;

constexpr std::uint16_t kHttps = 443;
constexpr std::uint16_t kSsh = 22;
// Short ones, so that what reaches one is soon over.
constexpr OpeningLimits kLimits{.client_first = milliseconds(400),
                                .server_first = milliseconds(50)};

struct Piece {
  std::string text;
  milliseconds before{0};
};

std::string named_hello() {
  return openssl_hello(
      [](SSL_CTX*, SSL* ssl) { SSL_set_tlsext_host_name(ssl, "www.example.com"); });
}

class OpeningTest : public ::testing::Test {
 protected:
  Result<Opening> read(std::uint16_t port, std::vector<Piece> pieces, bool ends = false) {
    loop.spawn(send(std::move(pieces), ends));
    auto opening = loop.get(read_opening(*ends_.first, port, kLimits));
    loop.run();
    return opening;
  }
  Result<Opening> read_late(std::vector<Piece> pieces, bool ends = false) {
    loop.spawn(send(std::move(pieces), ends));
    auto opening = loop.get(read_late_opening(*ends_.first, kLimits));
    loop.run();
    return opening;
  }
  Opening read_one(std::uint16_t port, std::vector<Piece> pieces, bool ends = false) {
    auto opening = read(port, std::move(pieces), ends);
    EXPECT_TRUE(opening) << opening.error().message();
    return opening.value_or(Opening());
  }

  void renew() { ends_ = testing::connected(loop.executor()); }

  async::Loop loop;

 private:
  Task<> send(std::vector<Piece> pieces, bool ends) {
    for (const auto& piece : pieces) {
      if (piece.before.count() > 0) co_await testing::pause(piece.before);
      co_await testing::write(*ends_.second, piece.text);
    }
    if (ends) ends_.second->shutdown_write();
  }

  testing::Streams ends_ = testing::connected(loop.executor());
};

TEST_F(OpeningTest, KnowsTheNameInATlsHello) {
  auto opening = read_one(kHttps, {{named_hello()}});
  EXPECT_EQ(opening.kind, Kind::kTls);
  EXPECT_EQ(opening.hello.server_name, "www.example.com");
}

TEST_F(OpeningTest, KeepsEveryByteOfAHelloThatCameInPiecesWithMoreBehindIt) {
  const auto sent = named_hello() + "early data";
  std::vector<Piece> pieces;
  constexpr std::size_t kPiece = 100;
  for (std::size_t at = 0; at < sent.size(); at += kPiece)
    pieces.push_back({sent.substr(at, kPiece), milliseconds(2)});
  // The last piece has to come along with the end of the hello to be among what was read.
  pieces[pieces.size() - 2].text += pieces.back().text;
  pieces.pop_back();
  auto opening = read_one(kHttps, pieces);
  EXPECT_EQ(opening.kind, Kind::kTls);
  EXPECT_EQ(as_text(opening.bytes), sent);
}

TEST_F(OpeningTest, KnowsWhatEachProtocolBeginsWith) {
  struct Row {
    const char* what;
    std::string text;
    Kind kind;
  };
  const Row rows[] = {
      {"GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Kind::kHttp},
      {"a method of any letters", "PROPFIND / HTTP/1.1\r\n", Kind::kHttp},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Kind::kHttp},
      {"a method in lower case", "get / HTTP/1.1\r\n", Kind::kOther},
      {"a space", " GET / HTTP/1.1\r\n", Kind::kOther},
      {"a method that is too long", "ABCDEFGHIJKLMNOPQRSTUVWXYZ /", Kind::kOther},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n", Kind::kOther},
      {"zeroes", std::string(3, '\0'), Kind::kOther},
      {"TLS of another major version", "\x16\x02\x01\x05\x05xxxxx", Kind::kOther},
      {"a record that is no hello", "\x16\x03\x01" + with_length("\x02\x01\x01\x01zz", 2),
       Kind::kMalformedTls},
  };
  for (const auto& row : rows) {
    for (auto port : {kHttps, kSsh}) {
      renew();
      auto opening = read_one(port, {{row.text}});
      EXPECT_EQ(opening.kind, row.kind) << row.what << " to " << port;
      EXPECT_EQ(as_text(opening.bytes), row.text) << row.what;
      EXPECT_EQ(opening.reason.empty(), row.kind != Kind::kMalformedTls) << row.what;
    }
  }
}

TEST_F(OpeningTest, OnOtherPortsOnlyAWholeRequestLineIsHttp) {
  struct Row {
    const char* what;
    std::string text;
    Kind kind;
  };
  const Row rows[] = {
      {"HTTP/1.0", "GET / HTTP/1.0\r\n", Kind::kHttp},
      {"behind an empty line", "\r\nGET / HTTP/1.1\r\n", Kind::kHttp},
      {"a bare line feed", "GET / HTTP/1.1\nHost: a\n\n", Kind::kHttp},
      {"several spaces", "GET  /\tHTTP/1.1 \r\n", Kind::kHttp},
      {"a method that nobody knows", "FROB-X /x HTTP/1.1\r\n", Kind::kHttp},
      {"a proxy's", "CONNECT a.example:443 HTTP/1.1\r\n", Kind::kHttp},
      {"a long target", "GET /" + std::string(8000, 'x') + " HTTP/1.1\r\n", Kind::kHttp},
      {"an empty line alone", "\n", Kind::kOther},
      {"IRC", "NICK me\r\nUSER me 0 * :me\r\n", Kind::kOther},
      {"IRC's second line", "USER me 0 * :me\r\n", Kind::kOther},
      {"NATS", "CONNECT {\"verbose\":false,\"user\":\"HTTP/1.1\"}\r\nPING\r\n", Kind::kOther},
      {"SMTP", "EHLO me.example\r\n", Kind::kOther},
      {"SMTP's longer", "MAIL FROM:<a@b.example> SIZE=1\r\n", Kind::kOther},
      {"IMAP", "A1 LOGIN me secret\r\n", Kind::kOther},
      {"POP3", "USER me\r\n", Kind::kOther},
      {"Redis", "SET a 1\r\n", Kind::kOther},
      {"memcached", "get a\r\n", Kind::kOther},
      {"a word in small letters", "hello", Kind::kOther},
      {"RTSP", "OPTIONS rtsp://a.example/ RTSP/1.0\r\n", Kind::kOther},
      {"SIP", "INVITE sip:a@b.example SIP/2.0\r\n", Kind::kOther},
      {"HTTP/0.9", "GET /\r\n", Kind::kOther},
      {"a word more", "GET / x HTTP/1.1\r\n", Kind::kOther},
      {"a version more", "GET / HTTP/1.10\r\n", Kind::kOther},
      {"git", std::string("0032git-upload-pack /x\0host=a\0", 30), Kind::kOther},
      {"binary behind a word", std::string("AMQP\0\0\x09\x01", 8), Kind::kOther},
      {"a line that is too long", "GET /" + std::string(20'000, 'x'), Kind::kHttp},
  };
  for (const auto& row : rows) {
    renew();
    auto began = std::chrono::steady_clock::now();
    auto opening = read_one(kSsh, {{row.text}});
    EXPECT_EQ(opening.kind, row.kind) << row.what;
    EXPECT_EQ(as_text(opening.bytes), row.text) << row.what;
    EXPECT_LT(std::chrono::steady_clock::now() - began, kLimits.client_first) << row.what;
  }
}

TEST_F(OpeningTest, ARequestLineInPiecesIsStillOne) {
  auto opening =
      read_one(kSsh, {{"GE"}, {"T / HT", milliseconds(5)}, {"TP/1.1\r", milliseconds(5)}, {"\n"}});
  EXPECT_EQ(opening.kind, Kind::kHttp);
}

TEST_F(OpeningTest, AMethodInPiecesIsStillOne) {
  auto opening = read_one(kHttps, {{"G"}, {"E", milliseconds(5)}, {"T ", milliseconds(5)}});
  EXPECT_EQ(opening.kind, Kind::kHttp);
  EXPECT_EQ(as_text(opening.bytes), "GET ");
}

TEST_F(OpeningTest, AServerThatSpeaksFirstIsSoonLetTo) {
  auto began = std::chrono::steady_clock::now();
  auto opening = read_one(kSsh, {});
  auto took = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(opening.kind, Kind::kNothing);
  EXPECT_TRUE(opening.bytes.empty());
  EXPECT_GE(took, kLimits.server_first);
  EXPECT_LT(took, kLimits.client_first);
}

TEST_F(OpeningTest, OnAWebPortTheClientIsWaitedForLonger) {
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(read_one(kHttps, {}).kind, Kind::kNothing);
  EXPECT_GE(std::chrono::steady_clock::now() - began, kLimits.client_first);
  renew();
  auto late = read_one(kHttps, {{named_hello(), 3 * kLimits.server_first}});
  EXPECT_EQ(late.kind, Kind::kTls);
}

TEST_F(OpeningTest, WhoHasBegunInTimeMayGoOnSlowly) {
  const auto sent = named_hello();
  auto opening =
      read_one(kSsh, {{sent.substr(0, 50)}, {sent.substr(50), 2 * kLimits.server_first}});
  EXPECT_EQ(opening.kind, Kind::kTls);
  EXPECT_EQ(as_text(opening.bytes), sent);
}

TEST_F(OpeningTest, AHelloThatIsNeverWholeIsMalformed) {
  auto opening = read_one(kHttps, {{named_hello().substr(0, 50)}});
  EXPECT_EQ(opening.kind, Kind::kMalformedTls);
  EXPECT_EQ(opening.bytes.size(), 50U);
}

TEST_F(OpeningTest, WhatASilentClientSaysInTheEndIsKnownAsWell) {
  const auto hello = named_hello();
  struct Row {
    std::vector<Piece> pieces;
    Kind kind;
  };
  const Row rows[] = {
      {{{hello, 2 * kLimits.client_first}}, Kind::kTls},
      {{{hello.substr(0, 50), milliseconds(100)}, {hello.substr(50), milliseconds(100)}},
       Kind::kTls},
      {{{"GET / HTTP/1.1\r\n", milliseconds(100)}}, Kind::kHttp},
      {{{"hello\r\n", milliseconds(100)}}, Kind::kOther},
      {{{hello.substr(0, 50)}}, Kind::kMalformedTls},
  };
  for (const auto& row : rows) {
    renew();
    auto opening = read_late(row.pieces);
    ASSERT_TRUE(opening);
    EXPECT_EQ(opening->kind, row.kind);
    std::string sent;
    for (const auto& piece : row.pieces) sent += piece.text;
    EXPECT_EQ(as_text(opening->bytes), sent);
  }
}

TEST_F(OpeningTest, ASilentClientThatEndsHasSaidNothing) {
  auto ended = read_late({}, true);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->kind, Kind::kNothing);
  EXPECT_TRUE(ended->ended);
}

TEST_F(OpeningTest, AClientThatSaidSomethingAndEndedIsStillServed) {
  auto opening = read_one(kSsh, {{"QUIT"}}, true);
  EXPECT_EQ(opening.kind, Kind::kOther);
  EXPECT_EQ(as_text(opening.bytes), "QUIT");
}

TEST_F(OpeningTest, AnEndBeforeAnythingIsAnErrorOnAWebPort) {
  auto ended = read(kHttps, {}, true);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind(), ErrorKind::kClosed);
}

TEST_F(OpeningTest, AnEndBeforeAnythingLeavesTheWordToTheServerElsewhere) {
  auto ended = read(kSsh, {}, true);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->kind, Kind::kNothing);
  EXPECT_TRUE(ended->ended);
  renew();
  EXPECT_FALSE(read_one(kSsh, {}).ended);
}

}  // namespace
}  // namespace capsem::host::net
