#include <sha2.h>

#include "base/sha256.h"

namespace capsem {

struct Sha256::State {
  SHA2_CTX context;
};

// None of the three functions can fail: they only compute.
Sha256::Sha256() : state_(std::make_unique<State>()) {
  ::SHA256Init(&state_->context);
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> data) {
  ::SHA256Update(&state_->context, reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
}

Digest Sha256::finish() {
  Digest digest;
  ::SHA256Final(reinterpret_cast<std::uint8_t*>(digest.bytes.data()), &state_->context);
  return digest;
}

}  // namespace capsem
