#include "host/net/tls_context.h"

#include <openssl/pem.h>

#include "host/net/tls_engine.h"

namespace capsem::host::net {
namespace {

// No renegotiation: what was judged at the beginning stays true. An early end of the connection is
// an error, so that a cut answer is not taken for a whole one.
constexpr std::uint64_t kOptions =
    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET;
// A connection that waits keeps no buffers.
constexpr long kMode =
    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::make(const SSL_METHOD* method) {
  SslContextPtr context(SSL_CTX_new(method));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1)
    return fail_openssl("set up", "TLS");
  SSL_CTX_set_options(context.get(), kOptions);
  SSL_CTX_set_mode(context.get(), kMode);
  // No session is resumed, neither side's: each connection proves itself.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(context)));
}

Result<std::shared_ptr<TlsContext>> TlsContext::server() {
  auto made = make(TLS_server_method());
  if (!made) return made;
  SSL_CTX* context = (*made)->get();
  if (SSL_CTX_set_num_tickets(context, 0) != 1 || SSL_CTX_set_max_early_data(context, 0) != 1)
    return fail_openssl("set up", "TLS");
  SSL_CTX_set_alpn_select_cb(context, TlsEngine::select_protocol, nullptr);
  return made;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client() {
  auto made = make(TLS_client_method());
  if (made && SSL_CTX_set_default_verify_paths((*made)->get()) != 1)
    return fail_openssl("read", "the host's certificate store");
  return made;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client_trusting(std::string_view pem) {
  auto made = make(TLS_client_method());
  if (!made) return made;
  X509_STORE* store = SSL_CTX_get_cert_store((*made)->get());
  BioPtr text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int count = 0;
  while (text) {
    CertificatePtr certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    if (X509_STORE_add_cert(store, certificate.get()) != 1)
      return fail_openssl("trust", "a certificate");
    ++count;
  }
  if (count == 0) return fail_openssl("read", "the certificates to trust");
  ERR_clear_error();  // the end of the text
  return made;
}

}  // namespace capsem::host::net
