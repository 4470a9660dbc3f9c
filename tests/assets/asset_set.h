// A small set of assets as a build would publish it.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "assets/index.h"
#include "assets/publish.h"
#include "base/fd.h"
#include "base/file.h"

namespace capsem::testing {

using Contents = std::map<std::string, std::string>;

inline Contents small_set(const std::string& mark) {
  return {{assets::kKernelName, "kernel " + mark},
          {assets::kModulesName, "modules " + mark},
          {assets::kRootfsName, "rootfs " + mark}};
}

// Fills the staging directory of `directory`; publish() is the caller's.
inline void stage(const std::filesystem::path& directory, const Contents& contents) {
  auto staging = assets::prepare_staging(directory).value();
  assets::Index index{.architecture = "x86_64", .kernel_release = "6.1"};
  for (const auto& [name, content] : contents) {
    write_file_atomically(staging / name, content).value();
    index.files.push_back({name, content.size(), sha256(as_bytes(content))});
  }
  write_file_atomically(staging / assets::kIndexName, assets::encode_index(index)).value();
}

inline void publish_set(const std::filesystem::path& directory, const std::string& mark) {
  stage(directory, small_set(mark));
  assets::publish(directory).value();
}

inline std::string text_of(const Fd& fd) {
  std::string text(1000, '\0');
  auto n = ::pread(fd.get(), text.data(), text.size(), 0);
  return text.substr(0, n < 0 ? 0 : static_cast<std::size_t>(n));
}

}  // namespace capsem::testing
