// Archives with whatever in their records, as no careful writer makes them.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "cpio/newc.h"

namespace capsem::initrd {

struct RawRecord {
  std::string path;
  std::uint32_t mode = cpio::kRegular | 0644;
  std::string body = {};
  std::uint32_t inode = 1;
  std::uint32_t links = 1;
  std::uint32_t uid = 0;
  std::uint32_t mtime = 0;
  std::uint32_t rdevice_major = 0;
  std::uint32_t rdevice_minor = 0;
  std::optional<std::uint32_t> checksum = {};
};

class RawArchive {
 public:
  RawArchive& add(const RawRecord& record) {
    std::string header(record.checksum ? cpio::kMagicChecksum : cpio::kMagic);
    for (std::uint64_t field :
         {std::uint64_t{record.inode}, std::uint64_t{record.mode}, std::uint64_t{record.uid},
          std::uint64_t{0}, std::uint64_t{record.links}, std::uint64_t{record.mtime},
          std::uint64_t{record.body.size()}, std::uint64_t{0}, std::uint64_t{0},
          std::uint64_t{record.rdevice_major}, std::uint64_t{record.rdevice_minor},
          std::uint64_t{record.path.size() + 1}, std::uint64_t{record.checksum.value_or(0)}}) {
      std::array<char, 9> digits{};
      std::snprintf(digits.data(), digits.size(), "%08llx", static_cast<unsigned long long>(field));
      header += digits.data();
    }
    bytes_ += header + record.path + '\0';
    pad();
    bytes_ += record.body;
    pad();
    return *this;
  }

  RawArchive& directory(const std::string& path, std::uint32_t permissions = 0755) {
    return add({.path = path, .mode = cpio::kDirectory | permissions});
  }

  RawArchive& symlink(const std::string& path, const std::string& target) {
    return add({.path = path, .mode = cpio::kSymlink | 0777, .body = target});
  }

  RawArchive& trailer() {
    return add({.path = std::string(cpio::kTrailer), .mode = 0, .inode = 0});
  }

  RawArchive& append(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }

  const std::string& bytes() const { return bytes_; }

 private:
  void pad() { bytes_.resize(bytes_.size() + cpio::padding_to_4(bytes_.size()), '\0'); }

  std::string bytes_;
};

}  // namespace capsem::initrd
