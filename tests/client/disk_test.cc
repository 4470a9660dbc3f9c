#include "client/disk.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "api/vm_record.h"
#include "base/directory.h"
#include "base/ext4.h"
#include "base/file.h"
#include "base/process.h"
#include "tests/temporary_directory.h"

namespace capsem::client {
namespace {

namespace fs = std::filesystem;
using api::Disk;
using capsem::testing::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DiskTest : public ::testing::Test {
 protected:
  static struct stat status(const fs::path& file) {
    struct stat found{};
    EXPECT_EQ(::stat(file.c_str(), &found), 0) << file;
    return found;
  }
  std::string error_of_opening(const Disk& disk) const {
    auto opened = open_disk(directory.path(), disk);
    return opened ? "none" : opened.error().message();
  }
  void put(off_t offset, const std::string& bytes) const {
    Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), offset),
              static_cast<ssize_t>(bytes.size()));
  }

  TemporaryDirectory directory;
  fs::path path = directory / api::kDiskFile;
};

TEST_F(DiskTest, IsASparseFileWithAFileSystemThatIsInOrder) {
  auto disk = make_disk(directory.path(), 1 << 30);
  ASSERT_TRUE(disk) << disk.error().message();
  EXPECT_EQ(disk->size_bytes, 1 << 30);
  EXPECT_EQ(status(path).st_size, 1 << 30);
  EXPECT_LT(status(path).st_blocks * 512, 1 << 20);
  EXPECT_EQ(status(path).st_mode & 07777, 0600);
  auto opened = open_disk(directory.path(), *disk);
  ASSERT_TRUE(opened) << opened.error().message();
  auto found = read_ext4(*opened, "it");
  EXPECT_EQ(found->uuid, disk->uuid);
  EXPECT_TRUE(found->clean);
  auto check = run_for_output({.argv = {"/usr/sbin/e2fsck", "-fn", path}});
  EXPECT_TRUE(check) << check.error().message();
}

TEST_F(DiskTest, TheSmallestAndTheLargestCanBeMade) {
  for (auto size : {Disk::kMinBytes, Disk::kMaxBytes}) {
    auto disk = make_disk(directory.path(), size);
    ASSERT_TRUE(disk) << disk.error().message();
    EXPECT_TRUE(open_disk(directory.path(), *disk));
  }
}

TEST_F(DiskTest, OneThatCannotBeMadeLeavesNothing) {
  EXPECT_FALSE(make_disk(directory.path(), 4096));
  EXPECT_THAT(*names_in(directory.path()), ElementsAre());
}

TEST_F(DiskTest, AnythingElseIsRefusedInWords) {
  auto disk = make_disk(directory.path(), Disk::kMinBytes);
  ASSERT_TRUE(disk);
  auto other = *disk;
  other.uuid.front() = other.uuid.front() == '0' ? '1' : '0';
  EXPECT_THAT(error_of_opening(other), HasSubstr("another than that of the VM"));
  other = *disk;
  other.size_bytes += 4096;
  EXPECT_THAT(error_of_opening(other), HasSubstr("bytes and not"));
  put(1024 + 0x4, std::string("\xff\xff\xff\x00", 4));
  EXPECT_THAT(error_of_opening(*disk), HasSubstr("larger than the disk"));
  put(1024, std::string(1024, '\0'));
  EXPECT_THAT(error_of_opening(*disk), HasSubstr("it has no ext4 file system"));
  fs::remove(path);
  EXPECT_THAT(error_of_opening(*disk), HasSubstr("No such file"));
  fs::create_symlink("/dev/null", path);
  EXPECT_THAT(error_of_opening(*disk), HasSubstr("no file of this user"));
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(error_of_opening(*disk), HasSubstr("no file of this user"));
}

TEST_F(DiskTest, IsNotOpenedOrCopiedWhileAnotherHasItLocked) {
  TemporaryDirectory other;
  auto disk = make_disk(directory.path(), Disk::kMinBytes);
  ASSERT_TRUE(disk);
  auto takes_until_released = [&](const auto& work) {
    // As QEMU does.
    auto qemu = open_file(path, O_RDWR);
    struct flock lock{};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 100;
    lock.l_len = 1;
    ASSERT_EQ(::fcntl(qemu->get(), F_OFD_SETLK, &lock), 0);
    constexpr std::chrono::milliseconds kDelay{200};
    auto begin = std::chrono::steady_clock::now();
    std::thread end([&] {
      std::this_thread::sleep_for(kDelay);
      qemu->reset();
    });
    EXPECT_TRUE(work());
    EXPECT_GE(std::chrono::steady_clock::now() - begin, kDelay);
    end.join();
  };
  takes_until_released([&] { return open_disk(directory.path(), *disk); });
  takes_until_released([&] { return copy_disk(directory.path(), other.path()); });
}

TEST_F(DiskTest, ACopyHasItsDataAndItsHoles) {
  TemporaryDirectory other;
  auto disk = make_disk(directory.path(), 256 << 20);
  ASSERT_TRUE(disk);
  put(100 << 20, "in the middle");
  put((256 << 20) - 1, "e");
  auto copied = copy_disk(directory.path(), other.path());
  ASSERT_TRUE(copied) << copied.error().message();
  auto copy = other / api::kDiskFile;
  EXPECT_TRUE(open_disk(other.path(), *disk));
  EXPECT_EQ(status(copy).st_mode & 07777, 0600);
  EXPECT_LE(status(copy).st_blocks, status(path).st_blocks + 64);
  EXPECT_TRUE(run_for_output({.argv = {"cmp", path, copy}}));
  put(100 << 20, "now another");
  EXPECT_FALSE(run_for_output({.argv = {"cmp", path, copy}}));
  EXPECT_FALSE(copy_disk(directory.path(), other.path())) << "there is one already";
}

}  // namespace
}  // namespace capsem::client
