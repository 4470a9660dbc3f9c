// Hellos of TLS clients: those that OpenSSL sends, and ones that are put together byte for byte.
#pragma once

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capsem::host::net {

inline std::string number(std::size_t value, std::size_t bytes) {
  std::string text;
  for (; bytes > 0; --bytes) text += static_cast<char>(value >> 8 * (bytes - 1) & 0xFF);
  return text;
}

// `content` behind its length.
inline std::string with_length(const std::string& content, std::size_t bytes) {
  return number(content.size(), bytes) + content;
}

inline std::string extension(std::uint16_t type, const std::string& content) {
  return number(type, 2) + with_length(content, 2);
}

inline std::string server_name(const std::string& name, char type = 0) {
  return extension(0, with_length(type + with_length(name, 2), 2));
}

// In records of at most `fragment` bytes.
inline std::string records(std::string_view message, std::size_t fragment = 1 << 14) {
  std::string all;
  for (; !message.empty(); message.remove_prefix(std::min(fragment, message.size())))
    all += "\x16\x03\x01" + with_length(std::string(message.substr(0, fragment)), 2);
  return all;
}

// A hello of TLS 1.2 with these extensions; `tail` behind them, within the message.
inline std::string hello_message(const std::string& extensions, const std::string& tail = {}) {
  const auto body = number(0x0303, 2) + std::string(32, 'r') + with_length("session", 1) +
                    with_length("\xC0\x2B", 2) + with_length(std::string(1, '\0'), 1) +
                    with_length(extensions, 2) + tail;
  return "\x01" + with_length(body, 3);
}

// The first bytes that OpenSSL's client sends.
inline std::string openssl_hello(const std::function<void(SSL_CTX*, SSL*)>& set_up = {},
                                 const std::function<void(SSL_CTX*)>& set_up_context = {}) {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                            &SSL_CTX_free);
  if (set_up_context) set_up_context(context.get());
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), &SSL_free);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  if (set_up) set_up(context.get(), ssl.get());
  EXPECT_EQ(SSL_connect(ssl.get()), -1);
  char* bytes = nullptr;
  const auto size = BIO_get_mem_data(out, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace capsem::host::net
