// A directory to extract to, and one beside it that nothing may change.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "initrd/extract.h"
#include "tests/initrd/raw_archive.h"
#include "tests/temporary_directory.h"

namespace capsem::initrd {

// Every file below `directory`: path, mode, time and content.
inline std::string snapshot(const std::filesystem::path& directory) {
  std::vector<std::string> lines;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat status{};
    EXPECT_EQ(::lstat(entry.path().c_str(), &status), 0);
    auto line = entry.path().lexically_relative(directory).string() + " " +
                std::to_string(status.st_mode) + " " + std::to_string(status.st_uid) + " " +
                std::to_string(status.st_mtim.tv_sec) + "." +
                std::to_string(status.st_mtim.tv_nsec);
    if (S_ISREG(status.st_mode)) line += " " + read_file(entry.path(), 1 << 20).value();
    lines.push_back(line + "\n");
  }
  std::ranges::sort(lines);
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

class ExtractTest : public ::testing::Test {
 protected:
  ExtractTest() : root_(directory_ / "root"), outside_(directory_ / "outside") {
    std::filesystem::create_directory(root_);
    std::filesystem::create_directories(outside_ / "deep");
    EXPECT_TRUE(write_file_atomically(outside_ / "canary", "untouched"));
    EXPECT_TRUE(write_file_atomically(outside_ / "deep" / "canary", "untouched"));
    before_ = snapshot(outside_);
  }

  ~ExtractTest() override { EXPECT_EQ(snapshot(outside_), before_); }

  // Extracts to root_; what failed, what was skipped and the error are kept.
  WriteSummary extract_to_root(std::string_view image, const WriteOptions& options = {},
                               const std::vector<std::string>& patterns = {},
                               std::uint64_t limit_bytes = kDefaultLimitBytes) {
    failed_.clear();
    skipped_.clear();
    error_.clear();
    Selection selection;
    if (!patterns.empty()) {
      MemoryInput first(as_bytes(image));
      ImageReader reader(first, limit_bytes);
      selection = Selection::by_patterns(reader, patterns).value();
    }
    unmatched_ = selection.unmatched();
    MemoryInput input(as_bytes(image));
    ImageReader reader(input, limit_bytes);
    const ExtractEvents events{
        .failed = [this](const Error& error) { failed_.push_back(error.message()); },
        .skipped = [this](const std::string& text) { skipped_.push_back(text); }};
    auto summary =
        extract(reader, open_file(root_, O_PATH | O_DIRECTORY).value(), selection, options, events);
    if (!summary) error_ = summary.error().message();
    return summary.value_or(WriteSummary{});
  }

  std::string content(const std::string& path) const {
    return read_file(root_ / path, 1 << 20).value_or("(none)");
  }
  struct stat status(const std::string& path) const {
    struct stat found{};
    EXPECT_EQ(::lstat((root_ / path).c_str(), &found), 0) << path;
    return found;
  }
  unsigned permissions(const std::string& path) const { return status(path).st_mode & 07777; }
  bool exists(const std::string& path) const {
    return std::filesystem::symlink_status(root_ / path).type() !=
           std::filesystem::file_type::not_found;
  }

  testing::TemporaryDirectory directory_;
  std::filesystem::path root_;
  std::filesystem::path outside_;
  std::string before_;
  std::vector<std::string> failed_;
  std::vector<std::string> skipped_;
  std::vector<std::string> unmatched_;
  std::string error_;
};

}  // namespace capsem::initrd
