// Standard output in large writes, for subcommands that print a line for each record.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log.h"

namespace capsem::cli {

class BufferedOutput {
 public:
  BufferedOutput() { buffer_.reserve(kBufferBytes + kSlackBytes); }

  BufferedOutput& put(std::string_view text) {
    buffer_ += text;
    return *this;
  }

  // In decimal, right-aligned in a column of `width`.
  BufferedOutput& put_number(std::unsigned_integral auto value, std::size_t width = 0) {
    char digits[20];
    auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    const auto length = static_cast<std::size_t>(end - digits);
    if (length < width) buffer_.append(width - length, ' ');
    buffer_.append(digits, length);
    return *this;
  }

  // Writes when there is enough to write; call it now and then.
  Result<> flush_if_full() { return buffer_.size() < kBufferBytes ? Result<>{} : flush(); }

  // Writes what there is.
  Result<> flush() {
    auto written = print(buffer_);
    buffer_.clear();
    return written;
  }

 private:
  static constexpr std::size_t kBufferBytes = 64 << 10;
  static constexpr std::size_t kSlackBytes = 16 << 10;

  std::string buffer_;
};

}  // namespace capsem::cli
