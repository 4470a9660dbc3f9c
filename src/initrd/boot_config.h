// The boot configuration that may stand behind an image's last segment: Linux cuts it off before it
// unpacks. Documentation/admin-guide/bootconfig.rst; init/main.c, get_boot_config_from_initrd().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"

namespace capsem::initrd {

struct BootConfig {
  std::uint64_t offset = 0;  // in the image
  std::uint64_t bytes = 0;   // all that Linux cuts off
  std::string text;          // without the NUL bytes that end it
};

// What has to follow an image of `image_bytes` for Linux to find `text` there.
std::string encode_boot_config(std::string_view text, std::uint64_t image_bytes);

// An image without its boot configuration: ends where that begins.
class SegmentsInput : public Input {
 public:
  // The longest that is found: Linux takes no longer text (XBC_DATA_MAX).
  static constexpr std::size_t kMaxTextBytes = 32767;

  // `image` stands at the image's first byte and has to outlive it. What has to be seen at once is
  // no longer than a record's header and name; peek() shows that much and 16 KiB at most.
  explicit SegmentsInput(Input& image) : image_(image) {}

  Result<std::span<const std::byte>> peek(std::size_t wanted) override;

  // Known once the end was reached.
  const std::optional<BootConfig>& boot_config() const { return boot_config_; }

 private:
  void drop(std::size_t count) override { image_.take(count); }
  Result<std::uint64_t> seek(std::uint64_t count) override;
  void find_end(std::span<const std::byte> rest);

  Input& image_;
  std::optional<std::uint64_t> end_;
  std::optional<BootConfig> boot_config_;
};

}  // namespace capsem::initrd
