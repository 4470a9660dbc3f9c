// What all TLS connections of one kind share: versions, options, whom to trust.
#pragma once

#include <memory>
#include <string_view>

#include "base/error.h"
#include "host/net/openssl.h"

namespace capsem::host::net {

class TlsContext {
 public:
  // For connections that a client in the guest opens.
  static Result<std::shared_ptr<TlsContext>> server();
  // For connections to servers, which are believed when the host's certificate store vouches for
  // them. Reads the store, which takes some ten milliseconds: once for a monitor.
  static Result<std::shared_ptr<TlsContext>> client();
  // The same with `pem`, certificates one behind the other, in place of the host's store.
  static Result<std::shared_ptr<TlsContext>> client_trusting(std::string_view pem);

  SSL_CTX* get() const { return context_.get(); }

 private:
  explicit TlsContext(SslContextPtr context) : context_(std::move(context)) {}
  static Result<std::shared_ptr<TlsContext>> make(const SSL_METHOD* method);

  SslContextPtr context_;
};

}  // namespace capsem::host::net
