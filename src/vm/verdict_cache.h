// The probe's verdict on disk, valid for one boot of the host, one QEMU and one /dev/kvm.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"

namespace capsem::vm {

// What is known about KVM on this host.
struct Finding {
  bool works = false;
  bool probed = false;  // by a guest that ran; otherwise something was in the way of even that
  std::string reason;   // why it does not work
  std::string advice;   // what to do about it

  bool operator==(const Finding&) const = default;
};

class VerdictCache {
 public:
  // `key` holds all that a verdict depends on; with an empty one nothing is remembered.
  VerdictCache(std::filesystem::path directory, std::string key);

  // What is remembered for this key; nothing when the file is missing, unreadable or of another
  // key: then the probe simply runs again.
  std::optional<Finding> load() const;

  Result<> store(const Finding& result) const;

  // Whatever is remembered in `directory`, for this key or another.
  static void forget(const std::filesystem::path& directory);

 private:
  std::filesystem::path directory_;
  std::string key_;
};

// "DEVICE:INODE:SIZE:TIME:SPECIAL" of a file: another file has another identity. Empty when there
// is none.
std::string file_identity(const std::filesystem::path& path);

}  // namespace capsem::vm
