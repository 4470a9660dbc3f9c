#include "base/sha256.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <vector>

#include "base/text.h"

namespace capsem {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free};
};

std::string Digest::hex() const {
  return capsem::hex(bytes);
}

Result<Digest> Digest::parse(std::string_view text) {
  auto nibble = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  Digest digest;
  bool valid = text.size() == 2 * digest.bytes.size();
  for (std::size_t i = 0; valid && i < digest.bytes.size(); ++i) {
    int high = nibble(text[2 * i]);
    int low = nibble(text[2 * i + 1]);
    valid = high >= 0 && low >= 0;
    digest.bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  if (!valid)
    return fail("read", "a SHA-256 hash", "it is not 64 lower-case hexadecimal digits", "",
                ErrorKind::kInvalid);
  return digest;
}

// OpenSSL's digest calls fail only for want of memory or of the algorithm itself.
Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc();
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> data) {
  if (EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) != 1)
    throw std::bad_alloc();
}

Digest Sha256::finish() {
  Digest digest;
  if (EVP_DigestFinal_ex(state_->context.get(),
                         reinterpret_cast<unsigned char*>(digest.bytes.data()), nullptr) != 1)
    throw std::bad_alloc();
  return digest;
}

Digest sha256(std::span<const std::byte> data) {
  Sha256 hash;
  hash.update(data);
  return hash.finish();
}

Result<Digest> sha256(const Fd& file, const std::string& name) {
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 18);
  off_t offset = 0;
  for (;;) {
    ssize_t n = ::pread(file.get(), buffer.data(), buffer.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_system("read", name, errno);
    if (n == 0) return hash.finish();
    hash.update(std::span(buffer).first(static_cast<std::size_t>(n)));
    offset += n;
  }
}

}  // namespace capsem
