#include "initrd/boot_config.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/fd.h"
#include "cpio/newc.h"

namespace capsem::initrd {
namespace {

// Behind the text: its size and the sum of its bytes, both little-endian, and this.
constexpr std::string_view kMagic = "#BOOTCONFIG\n";
constexpr std::size_t kNumberBytes = sizeof(std::uint32_t);
constexpr std::size_t kFooterBytes = 2 * kNumberBytes + kMagic.size();
// GRUB may have made the image's size a multiple of four.
constexpr std::size_t kMaxBehindBytes = 3;

constexpr std::size_t kMaxBytes = SegmentsInput::kMaxTextBytes + kFooterBytes + kMaxBehindBytes;

static_assert(std::endian::native == std::endian::little);

std::uint32_t sum_of(std::string_view text) {
  return std::accumulate(text.begin(), text.end(), std::uint32_t{0}, [](std::uint32_t sum, char c) {
    return sum + static_cast<unsigned char>(c);
  });
}

std::uint32_t number_at(std::string_view bytes, std::size_t offset) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data() + offset, kNumberBytes);
  return number;
}

void append_number(std::string& bytes, std::uint32_t number) {
  bytes.append(reinterpret_cast<const char*>(&number), kNumberBytes);
}

}  // namespace

std::string encode_boot_config(std::string_view text, std::uint64_t image_bytes) {
  std::string bytes(text);
  bytes += '\0';
  bytes.append(cpio::padding_to_4(static_cast<std::size_t>(image_bytes) + bytes.size()), '\0');
  const auto sum = sum_of(bytes);
  append_number(bytes, static_cast<std::uint32_t>(bytes.size()));
  append_number(bytes, sum);
  return bytes += kMagic;
}

// `rest` is all that is left of the image.
void SegmentsInput::find_end(std::span<const std::byte> rest) {
  end_ = position() + rest.size();
  for (std::size_t behind = 0; behind <= kMaxBehindBytes; ++behind) {
    auto bytes = as_text(rest);
    if (bytes.size() < kFooterBytes + behind) return;
    bytes.remove_suffix(behind);
    if (!bytes.ends_with(kMagic)) continue;
    const auto footer = bytes.size() - kFooterBytes;
    const std::size_t size = number_at(bytes, footer);
    if (size > std::min(footer, kMaxTextBytes)) return;
    auto text = bytes.substr(footer - size, size);
    if (sum_of(text) != number_at(bytes, footer + kNumberBytes)) return;
    const auto begin = position() + (footer - size);
    text = text.substr(0, text.find_last_not_of('\0') + 1);
    boot_config_ = {.offset = begin, .bytes = *end_ - begin, .text = std::string(text)};
    end_ = begin;
    return;
  }
}

Result<std::span<const std::byte>> SegmentsInput::peek(std::size_t wanted) {
  if (!end_) {
    // What may be the configuration is not shown before it is known not to be.
    auto ready = image_.peek(wanted == 0 ? 0 : wanted + kMaxBytes);
    if (!ready) return ready;
    if (wanted == 0 || ready->size() >= wanted + kMaxBytes)
      return ready->first(ready->size() - std::min(ready->size(), kMaxBytes));
    find_end(*ready);
  }
  const auto left = *end_ - position();
  auto ready = image_.peek(static_cast<std::size_t>(std::min<std::uint64_t>(wanted, left)));
  if (!ready) return ready;
  return ready->first(static_cast<std::size_t>(std::min<std::uint64_t>(ready->size(), left)));
}

Result<std::uint64_t> SegmentsInput::seek(std::uint64_t count) {
  if (end_ || count <= kMaxBytes) return 0;
  return image_.skip(count - kMaxBytes);
}

}  // namespace capsem::initrd
