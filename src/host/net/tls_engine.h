// One TLS connection as a machine without input and output of its own: what was received is fed to
// it, and what it wants sent is taken from it. Knows no stream, so that it never waits.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/net/openssl.h"
#include "host/net/tls_authority.h"
#include "host/net/tls_context.h"

namespace capsem::host::net {

// Which of the protocols that the client offers (ALPN) the server speaks: empty for none said,
// nothing to end the handshake with the alert for that (no_application_protocol).
using ChooseProtocol =
    std::function<std::optional<std::string>(const std::vector<std::string>& offered)>;

struct TlsServerSide {
  std::shared_ptr<TlsContext> context;
  std::shared_ptr<const TlsIdentity> identity;
  ChooseProtocol choose_protocol;  // may be empty: no protocol is said
};

struct TlsClientSide {
  std::shared_ptr<TlsContext> context;
  std::string host;  // a name, or the text of an address; the certificate has to be for it
  std::vector<std::string> protocols;  // to offer
};

class TlsEngine {
 public:
  static Result<std::unique_ptr<TlsEngine>> make(TlsServerSide side);
  static Result<std::unique_ptr<TlsEngine>> make(const TlsClientSide& side);

  // What was received; has to stay where it is until used_all().
  void feed(std::span<const std::byte> received);
  bool used_all() const { return input_.empty(); }
  // What is to be sent, in order.
  std::vector<std::byte> take_output() { return std::exchange(output_, {}); }
  std::size_t output_bytes() const { return output_.size(); }

  enum class State { kMore, kReady, kEnded };
  // kMore: it needs more received bytes; kReady: the handshake is done.
  Result<State> handshake();
  // Fills `buffer` with what was decrypted. kReady: some, its size in `size`; kEnded: the peer's
  // close_notify has come.
  Result<State> read(std::span<std::byte> buffer, std::size_t& size);
  // Encrypts some of `data`, and returns how much.
  Result<std::size_t> write(std::span<const std::byte> data);
  // Says that no more is sent: close_notify.
  void close();

  // The protocol agreed on, empty for none.
  std::string protocol() const;

  // For SSL_CTX_set_alpn_select_cb().
  static int select_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size,
                             const unsigned char* offered, unsigned offered_size, void* unused);

 private:
  TlsEngine(std::string attempted, std::string subject)
      : attempted_(std::move(attempted)), subject_(std::move(subject)) {}
  Result<> begin(const std::shared_ptr<TlsContext>& context);
  Result<> set_expected_host(const std::string& host);
  Result<State> failure(int result);
  static int bio_read(BIO* bio, char* buffer, int size);
  static int bio_write(BIO* bio, const char* data, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static BIO_METHOD* bio_method();

  std::string attempted_;
  std::string subject_;
  ChooseProtocol choose_protocol_;
  std::string chosen_;
  std::span<const std::byte> input_;
  std::vector<std::byte> output_;
  std::shared_ptr<TlsContext> context_;
  std::shared_ptr<const TlsIdentity> identity_;
  SslPtr ssl_;
  bool broken_ = false;
};

}  // namespace capsem::host::net
