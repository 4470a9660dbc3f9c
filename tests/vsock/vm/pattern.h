// A byte stream that both ends can make and check for themselves: lost, doubled, moved or changed
// bytes all show.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace capsem::vsock {

class Pattern {
 public:
  // The bytes from where the last call ended.
  void fill(std::span<std::byte> out) {
    for_each_word(out.size(), [&](std::size_t offset, const std::byte* word, std::size_t size) {
      std::memcpy(out.data() + offset, word, size);
    });
  }

  // Whether `data` goes on as it should.
  bool check(std::span<const std::byte> data) {
    bool good = true;
    for_each_word(data.size(), [&](std::size_t offset, const std::byte* word, std::size_t size) {
      good = std::memcmp(data.data() + offset, word, size) == 0 && good;
    });
    return good;
  }

 private:
  // Calls `visit` with the next `bytes` bytes, in pieces of up to a word.
  template <class Visit>
  void for_each_word(std::size_t bytes, Visit visit) {
    for (std::size_t offset = 0; offset < bytes;) {
      const std::uint64_t value = (position_ / kWord + 1) * 0x9e3779b97f4a7c15;
      std::byte word[kWord];
      std::memcpy(word, &value, kWord);
      const std::size_t skip = position_ % kWord;
      const std::size_t size = std::min(kWord - skip, bytes - offset);
      visit(offset, word + skip, size);
      offset += size;
      position_ += size;
    }
  }

  static constexpr std::size_t kWord = sizeof(std::uint64_t);
  std::uint64_t position_ = 0;
};

}  // namespace capsem::vsock
