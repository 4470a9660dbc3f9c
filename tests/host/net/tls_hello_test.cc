#include "host/net/tls_hello.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "base/process.h"
#include "tests/host/net/client_hello.h"

namespace capsem::host::net {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using State = HelloReader::State;
using namespace std::string_literals;  // NOLINT(google-build-using-namespace): strings with zeros

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Read at once.
HelloReader read(std::string_view text) {
  HelloReader reader;
  reader.feed(bytes_of(text));
  return reader;
}

HelloReader read_extensions(const std::string& extensions, const std::string& tail = {}) {
  return read(records(hello_message(extensions, tail)));
}

const std::string kName = "www.example.org";

void set_name(SSL_CTX*, SSL* ssl) {
  ASSERT_EQ(SSL_set_tlsext_host_name(ssl, kName.c_str()), 1);
}

TEST(TlsHello, ReadsThatOfOpenSsl) {
  auto reader = read(openssl_hello([](SSL_CTX*, SSL* ssl) {
    SSL_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_set_tlsext_host_name(ssl, "WWW.Example.org");
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>("\2h2\10http/1.1"), 12);
  }));
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.hello().server_name, "www.example.org");
  EXPECT_THAT(reader.hello().protocols, ElementsAre("h2", "http/1.1"));
  EXPECT_THAT(reader.hello().versions, ElementsAre(0x0304, 0x0303));
  EXPECT_FALSE(reader.hello().encrypted_hello);
  EXPECT_FALSE(reader.hello().early_data);
}

TEST(TlsHello, ReadsOneWithoutNameOrProtocols) {
  auto reader = read(openssl_hello());
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.hello().server_name, "");
  EXPECT_THAT(reader.hello().protocols, IsEmpty());
}

TEST(TlsHello, ReadsThatOfTls12) {
  auto reader = read(openssl_hello([](SSL_CTX* context, SSL* ssl) {
    SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
    set_name(context, ssl);
  }));
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_THAT(reader.hello().versions, ElementsAre(0x0303));
  EXPECT_EQ(reader.hello().server_name, kName);
}

TEST(TlsHello, ReadsThatOfAClientBeforeExtensions) {
  const auto body = number(0x0301, 2) + std::string(32, 'r') + with_length("", 1) +
                    with_length("\0\x2F"s, 2) + with_length("\0"s, 1);
  auto reader = read(records("\x01" + with_length(body, 3)));
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.hello().server_name, "");
  EXPECT_THAT(reader.hello().versions, ElementsAre(0x0301));
}

// Longer than a record may be, so that OpenSSL itself makes several.
TEST(TlsHello, ReadsOneOfSeveralRecords) {
  auto text = openssl_hello(set_name, [](SSL_CTX* context) {
    SSL_CTX_add_custom_ext(
        context, 0xFABC, SSL_EXT_CLIENT_HELLO,
        [](SSL*, unsigned, unsigned, const unsigned char** out, std::size_t* size, X509*,
           std::size_t, int*, void*) {
          static const std::string content(40000, 'x');
          *out = reinterpret_cast<const unsigned char*>(content.data());
          *size = content.size();
          return 1;
        },
        nullptr, nullptr, nullptr, nullptr);
  });
  ASSERT_GT(text.size(), 40000U);
  auto reader = read(text);
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.hello().server_name, kName);
}

TEST(TlsHello, ReadsOneThatComesInPieces) {
  const auto text = openssl_hello(set_name);
  HelloReader reader;
  for (std::size_t i = 0; i + 1 < text.size(); ++i)
    ASSERT_EQ(reader.feed(bytes_of(text).subspan(i, 1)), State::kIncomplete) << i;
  EXPECT_EQ(reader.feed(bytes_of(text).last(1)), State::kComplete);
  EXPECT_EQ(reader.hello().server_name, kName);
  EXPECT_TRUE(std::ranges::equal(reader.bytes(), bytes_of(text)));
}

TEST(TlsHello, ReadsOneInRecordsOfOneByte) {
  const auto message = openssl_hello(set_name).substr(5);
  auto reader = read(records(message, 1));
  EXPECT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.hello().server_name, kName);
}

TEST(TlsHello, KeepsWhatFollowsItsRecords) {
  auto text = records(hello_message(server_name(kName))) + "\x17\x03\x03\0\5early"s;
  auto reader = read(text);
  EXPECT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.bytes().size(), text.size());
}

TEST(TlsHello, SaysWhatIsNotTls) {
  for (const auto& text : {"GET / HTTP/1.1\r\n"s, "SSH-2.0-OpenSSH\r\n"s, "\x80\x2E\x01\x03\x01"s,
                           "\x16\x02"s, "\x17"s, "\x15\x03\x01\0\2\1\0"s, "\0"s})
    EXPECT_EQ(read(text).state(), State::kNotTls) << text;
  EXPECT_EQ(read("").state(), State::kIncomplete);
  EXPECT_EQ(read("\x16\x03\x01"s).state(), State::kIncomplete);
}

TEST(TlsHello, SeesAHelloThatIsEncrypted) {
  for (std::uint16_t type : {0xFE0D, 0xFFCE}) {
    auto reader = read_extensions(server_name(kName) + extension(type, "x"));
    ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
    EXPECT_TRUE(reader.hello().encrypted_hello);
  }
}

TEST(TlsHello, SeesThatARequestMayFollowAtOnce) {
  auto reader = read_extensions(server_name(kName) + extension(42, ""));
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_TRUE(reader.hello().early_data);
}

TEST(TlsHello, RefusesServerNamesThatAreNone) {
  const std::string entry = "\0"s + with_length(kName, 2);
  const std::vector<std::pair<const char*, std::string>> rows{
      {"two names", extension(0, with_length(entry + entry, 2))},
      {"a name and one of another type",
       extension(0, with_length(entry + "\1" + with_length("x", 2), 2))},
      {"another type", server_name(kName, 1)},
      {"an empty list", extension(0, with_length("", 2))},
      {"nothing", extension(0, "")},
      {"an empty name", server_name("")},
      {"something behind the list", extension(0, with_length(entry, 2) + "x")},
      {"a list longer than the extension", extension(0, "\0\xFF"s + entry)},
      {"a name longer than the list", extension(0, with_length("\0\0\x20"s + kName, 2))},
      {"the extension twice", server_name(kName) + server_name(kName)},
      {"a NUL", server_name("www.example.org\0.evil.example"s)},
      {"a dot at the end", server_name("www.example.org.")},
      {"an empty label", server_name("www..example.org")},
      {"a space", server_name("www.example.org ")},
      {"a port", server_name("www.example.org:443")},
      {"UTF-8", server_name("b\xC3\xBC"
                            "cher.example")},
      {"an IPv4 address", server_name("127.0.0.1")},
      {"a short one", server_name("127.1")},
      {"an octal one", server_name("0177.0.0.1")},
      {"a hexadecimal one", server_name("0x7f000001")},
      {"an IPv6 address", server_name("::1")},
      {"one in brackets", server_name("[::1]")},
      {"a name of 254 bytes", server_name(std::string(50, 'a') + std::string(204, '.'))},
  };
  for (const auto& [what, extensions] : rows) {
    auto reader = read_extensions(extensions);
    EXPECT_EQ(reader.state(), State::kMalformed) << what;
    EXPECT_NE(reader.reason(), "") << what;
    EXPECT_EQ(reader.hello().server_name, "") << what;
  }
}

TEST(TlsHello, RefusesWhatIsMalformed) {
  const auto good = hello_message(server_name(kName));
  ASSERT_EQ(read(records(good)).state(), State::kComplete);
  auto body_with = [](const std::string& session, const std::string& ciphers,
                      const std::string& compressions, std::size_t version = 0x0303) {
    return "\x01" +
           with_length(number(version, 2) + std::string(32, 'r') + with_length(session, 1) +
                           with_length(ciphers, 2) + with_length(compressions, 1),
                       3);
  };
  ASSERT_EQ(read(records(body_with("", "\xC0\x2B", "\0"s))).state(), State::kComplete);
  const std::vector<std::pair<const char*, std::string>> rows{
      {"what could be its extensions behind it",
       records(body_with("", "\xC0\x2B", "\0"s) + with_length(server_name(kName), 2))},
      {"records over 64 KiB", records(hello_message(extension(1, std::string(60000, 'x'))), 40)},
      {"another message", records("\x02" + good.substr(1))},
      {"a message behind it in its record", records(good + good)},
      {"something behind the extensions", records(hello_message(server_name(kName), "x"))},
      {"an empty record", "\x16\x03\x01\0\0"s + records(good)},
      {"an empty record within", records(good, 50).substr(0, 55) + "\x16\x03\x01\0\0"s},
      {"an alert within", records(good, 50).substr(0, 55) + "\x15\x03\x01\0\2\1\0"s},
      {"a record over 16 KiB", "\x16\x03\x01\x40\x01"s},
      {"a message over 64 KiB", "\x16\x03\x01\x40\0\1\1\0\1"s + std::string(0x3FFC, 'x')},
      {"a session of 33 bytes", records(body_with(std::string(33, 's'), "\xC0\x2B", "\0"s))},
      {"no ciphers", records(body_with("", "", "\0"s))},
      {"half a cipher", records(body_with("", "\xC0\x2B\xC0", "\0"s))},
      {"no compressions", records(body_with("", "\xC0\x2B", ""))},
      {"version 2", records(body_with("", "\xC0\x2B", "\0"s, 0x0200))},
      {"half an extension", records(hello_message("\0\5"s))},
      {"an extension too long", records(hello_message("\0\5\0\xFF"s))},
      {"an unknown extension twice",
       records(hello_message(extension(0xABCD, "") + extension(1, "") + extension(0xABCD, "")))},
      {"something behind the pre-shared key",
       records(hello_message(extension(41, "x") + server_name(kName)))},
      {"no protocols", records(hello_message(extension(16, with_length("", 2))))},
      {"an empty protocol", records(hello_message(extension(16, with_length("\0"s, 2))))},
      {"a protocol cut short", records(hello_message(extension(16, with_length("\5h2", 2))))},
      {"something behind protocols",
       records(hello_message(extension(16, with_length("\2h2", 2) + "x")))},
      {"no versions", records(hello_message(extension(43, with_length("", 1))))},
      {"half a version", records(hello_message(extension(43, with_length("\3", 1))))},
      {"early data with content", records(hello_message(extension(42, "x")))},
  };
  for (const auto& [what, text] : rows) {
    auto reader = read(text);
    EXPECT_EQ(reader.state(), State::kMalformed) << what;
    EXPECT_NE(reader.reason(), "") << what;
  }
}

TEST(TlsHello, AMessageThatEndsTooEarlyIsMalformed) {
  const auto body = hello_message(server_name(kName)).substr(4);
  for (std::size_t size = 0; size < body.size(); ++size) {
    // All but the extensions may be missing.
    const bool whole = size == 2 + 32 + 8 + 4 + 2;
    auto reader = read(records("\x01" + with_length(body.substr(0, size), 3)));
    EXPECT_EQ(reader.state(), whole ? State::kComplete : State::kMalformed) << size;
  }
}

TEST(TlsHello, ALongOneInSmallRecordsIsMalformed) {
  HelloReader reader;
  const auto one = "\x16\x03\x01\0\1"s;
  std::string text;
  for (const char c : "\1\0\xFF\xFF"s + std::string(0xFFFF, 'x')) text += one + c;
  auto rest = bytes_of(text);
  std::size_t fed = 0;
  for (; !rest.empty() && reader.state() == State::kIncomplete; rest = rest.subspan(1), ++fed)
    reader.feed(rest.first(1));
  EXPECT_EQ(reader.state(), State::kMalformed);
  EXPECT_EQ(reader.reason(), "it is too long");
  EXPECT_LE(fed, HelloReader::kMaxHelloBytes);
}

TEST(TlsHello, NothingChangesAfterItsEnd) {
  auto reader = read("GET /");
  EXPECT_EQ(reader.feed(bytes_of(openssl_hello(set_name))), State::kNotTls);
  auto complete = read(openssl_hello(set_name));
  EXPECT_EQ(complete.feed(bytes_of("\x15\x03\x03\0\2\1\0"s)), State::kComplete);
  EXPECT_EQ(complete.hello().server_name, kName);
}

// What a program sends first to a listening socket on loopback.
std::string first_bytes_of(const std::function<std::vector<std::string>(int port)>& command) {
  Fd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listening.get(), generic, size), 0);
  EXPECT_EQ(::listen(listening.get(), 1), 0);
  EXPECT_EQ(::getsockname(listening.get(), generic, &size), 0);
  const timeval limit{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(listening.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  auto program =
      Process::start({.argv = command(ntohs(address.sin_port)),
                      .fds = {{0, nothing.get()}, {1, nothing.get()}, {2, nothing.get()}},
                      .die_with_parent = true});
  EXPECT_TRUE(program) << program.error().message();
  std::string text;
  {
    Fd connection(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    std::array<char, 4096> buffer{};
    while (read(text).state() == State::kIncomplete) {
      auto got = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
  }
  if (!program) return {};
  EXPECT_TRUE(program->wait());
  return text;
}

TEST(TlsHello, ReadsThatOfCurl) {
  auto reader = read(first_bytes_of([](int port) -> std::vector<std::string> {
    const auto text = std::to_string(port);
    return {"curl",
            "--silent",
            "--noproxy",
            "*",
            "--max-time",
            "15",
            "--resolve",
            "api.example.com:" + text + ":127.0.0.1",
            "https://api.example.com:" + text + "/"};
  }));
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.hello().server_name, "api.example.com");
  EXPECT_THAT(reader.hello().protocols, ElementsAre("h2", "http/1.1"));
  EXPECT_THAT(reader.hello().versions, Contains(0x0304));
}

TEST(TlsHello, ReadsThatOfCurlToAnAddress) {
  auto reader = read(first_bytes_of([](int port) -> std::vector<std::string> {
    return {"curl",
            "--silent",
            "--noproxy",
            "*",
            "--max-time",
            "15",
            "https://127.0.0.1:" + std::to_string(port) + "/"};
  }));
  ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
  EXPECT_EQ(reader.hello().server_name, "") << "there is no name to send";
}

TEST(TlsHello, ReadsThatOfTheOpenSslProgram) {
  for (const auto* version : {"-tls1_2", "-tls1_3"}) {
    auto reader = read(first_bytes_of([&](int port) -> std::vector<std::string> {
      return {"openssl",     "s_client",        version,
              "-servername", "git.example.org", "-alpn",
              "http/1.1",    "-connect",        "127.0.0.1:" + std::to_string(port)};
    }));
    ASSERT_EQ(reader.state(), State::kComplete) << reader.reason();
    EXPECT_EQ(reader.hello().server_name, "git.example.org");
    EXPECT_THAT(reader.hello().protocols, ElementsAre("http/1.1"));
  }
}

}  // namespace
}  // namespace capsem::host::net
