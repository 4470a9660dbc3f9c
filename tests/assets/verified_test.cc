#include "assets/verified.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

class Verified : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_file_atomically(file_, "content"));
    wait_until_settled();
  }

  // A hash is remembered only for a file that was left alone for a moment: what is awaited is that
  // the record is kept, not a time.
  void wait_until_settled() {
    for (int tries = 0; tries < 500; ++tries) {
      read_by_hash();
      if (read_by_hash() == 0) return;
      ::usleep(10'000);
    }
    FAIL() << "the hash is never remembered";
  }

  // How many files a fresh process reads to know the hash, which has to be right.
  int read_by_hash() {
    auto fd = open_file(file_, O_RDONLY);
    auto verified = VerifiedFiles::load(record_);
    auto digest = verified.hash(*fd, file_, file_);
    EXPECT_TRUE(digest);
    EXPECT_EQ(*digest, sha256(as_bytes(read_file(file_, 100).value())));
    verified.save();
    return verified.files_read();
  }

  // Writes into the file itself, and puts its modification time back to what it was.
  void change_quietly(const std::string& content) {
    struct stat before{};
    ASSERT_EQ(::stat(file_.c_str(), &before), 0);
    auto fd = open_file(file_, O_WRONLY);
    ASSERT_TRUE(fd && write_full(*fd, as_bytes(content), file_));
    timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::futimens(fd->get(), times), 0);
  }

  testing::TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_ / "rootfs";
  std::filesystem::path record_ = directory_ / "cache/record.json";
};

TEST_F(Verified, UnchangedFileIsNotReadAgain) {
  EXPECT_EQ(read_by_hash(), 0);
}

TEST_F(Verified, ChangeWithTheTimeSetBackIsSeen) {
  change_quietly("CONTENT");
  EXPECT_EQ(read_by_hash(), 1);
}

TEST_F(Verified, ChangeRightAfterReadingIsSeen) {
  change_quietly("CONTENT");
  read_by_hash();
  change_quietly("content");  // perhaps within the same tick of the file system's clock
  EXPECT_EQ(read_by_hash(), 1);
}

TEST_F(Verified, AnotherFileOfTheSameNameIsSeen) {
  ASSERT_TRUE(write_file_atomically(file_, "CONTENT"));
  EXPECT_EQ(read_by_hash(), 1);
}

TEST_F(Verified, DamagedRecordCostsTimeOnly) {
  for (const auto* text : {"", "[", "[{\"file\": 3}]", "{\"file\": \"x\"}", "null"}) {
    ASSERT_TRUE(write_file_atomically(record_, text));
    EXPECT_EQ(read_by_hash(), 1) << text;
    EXPECT_EQ(read_by_hash(), 0) << text;
  }
}

}  // namespace
}  // namespace capsem::assets
