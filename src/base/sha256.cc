#include "base/sha256.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/text.h"

namespace capsem {

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

Digest sha256(std::span<const std::byte> data) {
  Sha256 hash;
  hash.update(data);
  return hash.finish();
}

Result<Digest> sha256(const Fd& file, std::uint64_t offset, const std::string& name) {
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 18);
  for (;;) {
    ssize_t n = ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_system("read", name, errno);
    if (n == 0) return hash.finish();
    hash.update(std::span(buffer).first(static_cast<std::size_t>(n)));
    offset += static_cast<std::uint64_t>(n);
  }
}

}  // namespace capsem
