// SHA-256 of bytes and files: by OpenSSL on the host, by libmd in guest binaries.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

struct Digest {
  std::array<std::byte, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  std::string hex() const;
  // From 64 hexadecimal digits; anything else is kInvalid.
  static Result<Digest> parse(std::string_view text);
};

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> data);
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(std::span<const std::byte> data);

// Of a file's content, from `offset` to its end; the descriptor's position is left alone.
Result<Digest> sha256(const Fd& file, std::uint64_t offset, const std::string& name);

inline Result<Digest> sha256(const Fd& file, const std::string& name) {
  return sha256(file, 0, name);
}

}  // namespace capsem
