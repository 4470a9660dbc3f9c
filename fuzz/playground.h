// Where a fuzzer has an archive extracted: what lies beside must stay as it was.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"

namespace capsem {

// root/ to extract to, and beside it a file and a directory; in root/ links to both, as an earlier
// image or its user may have left them.
class Playground {
 public:
  explicit Playground(const char* what) {
    const auto* base = std::getenv("TMPDIR");
    std::string name = std::string(base != nullptr ? base : "/dev/shm") + "/" + what + "-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    std::filesystem::create_directory(path_ / "beside");
    write_canary(path_ / "canary");
    write_canary(path_ / "beside" / "canary");
    before_ = state();
  }
  Playground(const Playground&) = delete;
  Playground& operator=(const Playground&) = delete;
  ~Playground() { std::filesystem::remove_all(path_); }

  Fd prepare_root() const {
    const auto root = path_ / "root";
    std::error_code ignored;
    std::filesystem::permissions(root, std::filesystem::perms::all, ignored);
    std::filesystem::remove_all(root);
    std::filesystem::create_directory(root);
    std::filesystem::create_symlink("../beside", root / "s");
    std::filesystem::create_symlink("../canary", root / "f");
    std::filesystem::create_hard_link(path_ / "canary", root / "h");
    return open_file(root, O_PATH | O_DIRECTORY).value();
  }

  void check() const {
    if (state() == before_) return;
    std::fputs("something beside the directory was changed\n", stderr);
    std::abort();
  }

 private:
  static void write_canary(const std::filesystem::path& path) {
    auto file = open_file(path, O_WRONLY | O_CREAT, 0640).value();
    if (!write_full(file, as_bytes("untouched"), path)) std::abort();
  }

  // Names, modes, owners, modification times and content; making and removing hard links changes
  // none of them.
  std::string state() const {
    std::string text;
    for (const auto* name : {".", "beside", "canary", "beside/canary"}) {
      struct stat status{};
      if (::lstat((path_ / name).c_str(), &status) != 0) return text + "missing";
      text += std::to_string(status.st_mode) + " " + std::to_string(status.st_uid) + " " +
              std::to_string(status.st_gid) + " ";
      if (S_ISREG(status.st_mode))
        text += std::to_string(status.st_mtim.tv_sec) + "." +
                std::to_string(status.st_mtim.tv_nsec) + read_file(path_ / name, 100).value();
    }
    for (const auto* name : {".", "beside"})
      for (const auto& entry : std::filesystem::directory_iterator(path_ / name))
        if (entry.path().filename() != "root") text += " " + entry.path().filename().string();
    return text;
  }

  std::filesystem::path path_;
  std::string before_;
};

}  // namespace capsem
