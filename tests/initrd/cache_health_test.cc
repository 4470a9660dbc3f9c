#include "initrd/cache_health.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "initrd/pack_record.h"
#include "initrd/segment_cache.h"
#include "tests/temporary_directory.h"

namespace capsem::initrd {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kNoLimit = UINT64_MAX;
constexpr std::size_t kHeaderBytes = 64;

struct CacheHealthTest : ::testing::Test {
  // A segment of `content`; its key is returned, how it looks is noted in `record`.
  Digest store(std::string_view content) {
    SegmentCache cache(segments, 1 << 30);
    auto key = sha256(as_bytes("key of " + std::string(content)));
    auto hash = sha256(as_bytes(content));
    auto identity = cache.store(key, hash, as_bytes(content));
    EXPECT_TRUE(identity);
    record.segments[key] = {*identity, hash};
    return key;
  }

  fs::path path_of(const Digest& key) const { return segments / key.hex(); }

  // Overwrites the last byte; the times are as they would be after a write.
  void damage(const Digest& key) const {
    auto file = open_file(path_of(key), O_RDWR).value();
    auto end = ::lseek(file.get(), 0, SEEK_END);
    ASSERT_EQ(::pwrite(file.get(), "X", 1, end - 1), 1);
  }

  void save_record() const { ASSERT_TRUE(record.save(directory / "packs/record")); }

  CacheHealth check(bool trust = true, std::uint64_t limit = kNoLimit) const {
    auto health = check_cache(directory.path(), trust, limit);
    EXPECT_TRUE(health) << health.error().message();
    return health ? *health : CacheHealth();
  }

  capsem::testing::TemporaryDirectory directory;
  fs::path segments = directory / "segments";
  PackRecord record;
};

TEST_F(CacheHealthTest, OfNoCacheIsEmpty) {
  EXPECT_EQ(check().segments, 0u);
  EXPECT_FALSE(fs::exists(segments));
}

TEST_F(CacheHealthTest, CountsSegmentsAndTheirBytes) {
  store("one");
  store("three");
  auto health = check();
  EXPECT_EQ(health.segments, 2u);
  EXPECT_EQ(health.total_bytes, 2 * kHeaderBytes + 3 + 5);
  EXPECT_EQ(health.read_bytes, health.total_bytes);
  EXPECT_THAT(health.damaged, IsEmpty());
}

TEST_F(CacheHealthTest, FindsWhatDoesNotMatchItsHash) {
  store("whole");
  auto key = store("damaged");
  damage(key);
  EXPECT_THAT(check().damaged, ElementsAre(path_of(key)));
}

TEST_F(CacheHealthTest, FindsWhatWasCutShort) {
  auto key = store("short");
  for (off_t size : {off_t{66}, off_t{10}, off_t{0}}) {
    ASSERT_EQ(::truncate(path_of(key).c_str(), size), 0);
    EXPECT_THAT(check().damaged, ElementsAre(path_of(key))) << size;
  }
}

TEST_F(CacheHealthTest, FindsASegmentUnderAnothersName) {
  auto one = store("one");
  auto other = store("other");
  fs::remove(path_of(other));
  fs::copy_file(path_of(one), path_of(other));
  EXPECT_THAT(check().damaged, ElementsAre(path_of(other)));
}

TEST_F(CacheHealthTest, DoesNotReadWhatLooksAsItWasNoted) {
  store("noted");
  save_record();
  EXPECT_EQ(check().read_bytes, 0u);
  EXPECT_EQ(check(false).read_bytes, kHeaderBytes + 5);
}

TEST_F(CacheHealthTest, ReadsWhatWasWrittenSinceItWasNoted) {
  auto key = store("noted");
  save_record();
  ::usleep(20'000);  // until the clock that changes are noted by has moved on
  damage(key);
  EXPECT_THAT(check().damaged, ElementsAre(path_of(key)));
}

TEST_F(CacheHealthTest, ReadsNoMoreThanItMayAndSaysSo) {
  store("one");
  store("two");
  auto health = check(true, kHeaderBytes + 3);
  EXPECT_EQ(health.segments, 2u);
  EXPECT_EQ(health.read_bytes, kHeaderBytes + 3);
  EXPECT_EQ(health.unread, 1u);
}

TEST_F(CacheHealthTest, MarksNothingAsUsed) {
  auto key = store("old");
  timespec long_ago[] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_of(key).c_str(), long_ago, 0), 0);
  check();
  struct stat status{};
  ASSERT_EQ(::stat(path_of(key).c_str(), &status), 0);
  EXPECT_EQ(status.st_mtime, 1'000'000'000);
}

TEST_F(CacheHealthTest, PassesOverWhatIsNoSegment) {
  store("one");
  ASSERT_TRUE(write_file_atomically(segments / "usage", "67"));
  ASSERT_TRUE(write_file_atomically(segments / "note.txt", "mine"));
  EXPECT_EQ(check().segments, 1u);
}

}  // namespace
}  // namespace capsem::initrd
