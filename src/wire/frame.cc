#include "wire/frame.h"

#include <algorithm>

namespace capsem::wire {

std::array<char, kPrefixBytes> prefix_of(std::uint32_t size) {
  std::array<char, kPrefixBytes> prefix{};
  for (std::size_t i = 0; i < kPrefixBytes; ++i)
    prefix.at(i) = static_cast<char>((size >> (8 * i)) & 0xff);
  return prefix;
}

std::uint32_t size_in(std::span<const std::byte, kPrefixBytes> prefix) {
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < kPrefixBytes; ++i)
    size |= static_cast<std::uint32_t>(prefix[i]) << (8 * i);
  return size;
}

std::span<std::byte> FrameDecoder::prepare(std::size_t bytes) {
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + bytes) buffer_.resize(end_ + bytes);
  return std::span(buffer_).subspan(end_);
}

void FrameDecoder::commit(std::size_t bytes) {
  end_ += std::min(bytes, buffer_.size() - end_);
}

Result<std::optional<std::span<const std::byte>>> FrameDecoder::next() {
  auto input = std::span<const std::byte>(buffer_).subspan(begin_, end_ - begin_);
  if (input.size() < kPrefixBytes) return std::nullopt;
  auto size = size_in(input.first<kPrefixBytes>());
  if (size > limit_bytes_)
    return fail("read", "a message",
                "its length of " + std::to_string(size) + " bytes is over the limit of " +
                    std::to_string(limit_bytes_),
                "", ErrorKind::kInvalid);
  if (input.size() < kPrefixBytes + size) return std::nullopt;
  begin_ += kPrefixBytes + size;
  return input.subspan(kPrefixBytes, size);
}

}  // namespace capsem::wire
