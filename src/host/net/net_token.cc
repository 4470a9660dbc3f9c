#include "host/net/net_token.h"

#include <openssl/crypto.h>

#include <utility>

#include "wire/messages.h"

namespace capsem::host::net {

void NetToken::set(std::string token) {
  if (known_.is_set()) return;
  token_ = std::move(token);
  known_.set();
}

Task<bool> NetToken::admits(std::string_view token) {
  co_await known_.wait();
  co_return token_.size() == wire::kNetTokenBytes&& token.size() == token_.size() &&
      CRYPTO_memcmp(token.data(), token_.data(), token.size()) == 0;
}

}  // namespace capsem::host::net
