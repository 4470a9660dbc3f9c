#include "base/sha256.h"

// The functions of OpenSSL 1.1, deprecated by 3.0 but the same code: setting up the providers
// behind EVP costs 1.5 ms of processor time in each process, these cost nothing
// (openssl_user_macros(7)).
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>

namespace capsem {

struct Sha256::State {
  SHA256_CTX context;
};

// None of OpenSSL's three functions can fail: they only compute.
Sha256::Sha256() : state_(std::make_unique<State>()) {
  ::SHA256_Init(&state_->context);
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> data) {
  ::SHA256_Update(&state_->context, data.data(), data.size());
}

Digest Sha256::finish() {
  Digest digest;
  ::SHA256_Final(reinterpret_cast<unsigned char*>(digest.bytes.data()), &state_->context);
  return digest;
}

}  // namespace capsem
