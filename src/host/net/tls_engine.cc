#include "host/net/tls_engine.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cstring>
#include <utility>

namespace capsem::host::net {
namespace {

constexpr std::size_t kLongestProtocol = 255;  // RFC 7301: its length is one byte

// RFC 7301, ProtocolNameList, without the length of the whole.
std::vector<unsigned char> protocol_list(const std::vector<std::string>& protocols) {
  std::vector<unsigned char> list;
  for (const auto& protocol : protocols) {
    if (protocol.empty() || protocol.size() > kLongestProtocol) continue;
    list.push_back(static_cast<unsigned char>(protocol.size()));
    list.insert(list.end(), protocol.begin(), protocol.end());
  }
  return list;
}

std::vector<std::string> protocols_of(std::span<const unsigned char> list) {
  std::vector<std::string> protocols;
  while (!list.empty()) {
    const std::size_t size = list.front();
    if (size == 0 || size >= list.size()) break;  // OpenSSL has checked it
    protocols.emplace_back(reinterpret_cast<const char*>(list.data() + 1), size);
    list = list.subspan(1 + size);
  }
  return protocols;
}

}  // namespace

Result<std::unique_ptr<TlsEngine>> TlsEngine::make(TlsServerSide side) {
  std::unique_ptr<TlsEngine> made(new TlsEngine("speak TLS with", "the client"));
  made->choose_protocol_ = std::move(side.choose_protocol);
  made->identity_ = std::move(side.identity);
  auto begun = made->begin(side.context);
  if (!begun) return propagate(begun);
  SSL* ssl = made->ssl_.get();
  const TlsIdentity& identity = *made->identity_;
  if (SSL_use_certificate(ssl, identity.certificate.get()) != 1 ||
      SSL_use_PrivateKey(ssl, identity.key.get()) != 1 ||
      SSL_add1_chain_cert(ssl, identity.issuer.get()) != 1) {
    return fail_openssl("use", "a certificate");
  }
  SSL_set_accept_state(ssl);
  return made;
}

Result<std::unique_ptr<TlsEngine>> TlsEngine::make(const TlsClientSide& side) {
  std::unique_ptr<TlsEngine> made(new TlsEngine("speak TLS with", "'" + side.host + "'"));
  auto begun = made->begin(side.context);
  if (begun) begun = made->set_expected_host(side.host);
  if (!begun) return propagate(begun);
  SSL* ssl = made->ssl_.get();
  auto list = protocol_list(side.protocols);
  // The one call of OpenSSL for which 0 is success.
  if (!list.empty() &&
      SSL_set_alpn_protos(ssl, list.data(), static_cast<unsigned>(list.size())) != 0) {
    return fail_openssl("offer", "the protocols");
  }
  SSL_set_connect_state(ssl);
  return made;
}

Result<> TlsEngine::begin(const std::shared_ptr<TlsContext>& context) {
  context_ = context;
  ssl_.reset(SSL_new(context->get()));
  BIO* bio = BIO_new(bio_method());
  if (!ssl_ || bio == nullptr) {
    BIO_free(bio);
    return fail_openssl("set up", "TLS");
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  return {};
}

Result<> TlsEngine::set_expected_host(const std::string& host) {
  boost::system::error_code not_an_address;
  boost::asio::ip::make_address(host, not_an_address);
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  bool is_set = false;
  if (not_an_address) {
    is_set = !host.empty() && X509_VERIFY_PARAM_set1_host(verify, host.data(), host.size()) == 1 &&
             SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1;
  } else {
    is_set = X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) == 1;
  }
  if (!is_set) return fail_openssl("ask for", subject_);
  SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, nullptr);
  return {};
}

void TlsEngine::feed(std::span<const std::byte> received) {
  input_ = received;
}

Result<TlsEngine::State> TlsEngine::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return State::kReady;
  return failure(result);
}

Result<TlsEngine::State> TlsEngine::read(std::span<std::byte> buffer, std::size_t& size) {
  size = 0;
  while (size < buffer.size()) {
    ERR_clear_error();
    std::size_t some = 0;
    const int result = SSL_read_ex(ssl_.get(), buffer.data() + size, buffer.size() - size, &some);
    size += some;
    if (result == 1) continue;
    auto state = failure(result);
    // What was read before is handed out; an end or an error is found again by the next call.
    if (size > 0) break;
    // A session ticket makes OpenSSL get a buffer to write with, 16 KiB, and keep it.
    SSL_free_buffers(ssl_.get());
    return state;
  }
  return State::kReady;
}

Result<std::size_t> TlsEngine::write(std::span<const std::byte> data) {
  if (broken_)
    return fail(attempted_, subject_, "the connection has failed", "", ErrorKind::kClosed);
  ERR_clear_error();
  std::size_t size = 0;
  const int result = SSL_write_ex(ssl_.get(), data.data(), data.size(), &size);
  if (result == 1) return size;
  auto state = failure(result);
  if (!state) return propagate(state);
  // Ours takes all it is given, and there is no renegotiation to wait for.
  return fail(attempted_, subject_, "the connection is not ready", "", ErrorKind::kClosed);
}

void TlsEngine::close() {
  if (broken_ || SSL_in_init(ssl_.get()) != 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::string TlsEngine::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

Result<TlsEngine::State> TlsEngine::failure(int result) {
  if (broken_)
    return fail(attempted_, subject_, "the connection has failed", "", ErrorKind::kClosed);
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return State::kMore;
    case SSL_ERROR_ZERO_RETURN:
      return State::kEnded;
    default:
      break;
  }
  broken_ = true;
  const long verified = SSL_get_verify_result(ssl_.get());
  if (verified == X509_V_OK) return fail_openssl(attempted_, subject_);
  ERR_clear_error();
  return fail("trust", subject_, X509_verify_cert_error_string(verified), "", ErrorKind::kInvalid);
}

int TlsEngine::select_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size,
                               const unsigned char* offered, unsigned offered_size,
                               void* /*unused*/) {
  auto* self = static_cast<TlsEngine*>(SSL_get_app_data(ssl));
  if (!self->choose_protocol_) return SSL_TLSEXT_ERR_NOACK;
  auto wanted = self->choose_protocol_(protocols_of({offered, offered_size}));
  if (!wanted) return SSL_TLSEXT_ERR_ALERT_FATAL;
  if (wanted->empty() || wanted->size() > kLongestProtocol) return SSL_TLSEXT_ERR_NOACK;
  self->chosen_ = std::move(*wanted);
  *chosen = reinterpret_cast<const unsigned char*>(self->chosen_.data());
  *chosen_size = static_cast<unsigned char>(self->chosen_.size());
  return SSL_TLSEXT_ERR_OK;
}

int TlsEngine::bio_read(BIO* bio, char* buffer, int size) {
  auto* self = static_cast<TlsEngine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const auto taken = std::min(self->input_.size(), static_cast<std::size_t>(std::max(size, 0)));
  if (taken == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(buffer, self->input_.data(), taken);
  self->input_ = self->input_.subspan(taken);
  return static_cast<int>(taken);
}

int TlsEngine::bio_write(BIO* bio, const char* data, int size) {
  auto* self = static_cast<TlsEngine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  self->output_.insert(self->output_.end(), bytes, bytes + size);
  return size;
}

long TlsEngine::bio_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* TlsEngine::bio_method() {
  using Method = std::unique_ptr<BIO_METHOD, OpensslFree<BIO_meth_free>>;
  static const Method method = [] {
    Method made(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "capsem"));
    if (made) {
      BIO_meth_set_read(made.get(), bio_read);
      BIO_meth_set_write(made.get(), bio_write);
      BIO_meth_set_ctrl(made.get(), bio_control);
    }
    return made;
  }();
  return method.get();
}

}  // namespace capsem::host::net
