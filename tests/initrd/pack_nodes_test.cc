#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <random>
#include <thread>

#include "base/file.h"
#include "initrd/image.h"
#include "initrd/pack.h"
#include "tests/temporary_directory.h"

namespace capsem::initrd {
namespace {

// Text that compresses like text, different for each seed.
std::string sample(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string text(size, ' ');
  for (auto& letter : text) letter = static_cast<char>('a' + random() % 13);
  return text;
}

class PackNodes : public ::testing::Test {
 protected:
  void SetUp() override {
    for (unsigned i = 0; i < 40; ++i)
      write("tree/d" + std::to_string(i % 4) + "/f" + std::to_string(i), sample(60'000, i));
    write("tree/large", sample(600'000, 100));
    write("tree/many-parts", sample(9 << 20, 101));
    ASSERT_EQ(::symlink("large", (directory_ / "tree/link").c_str()), 0);
    options_.target = directory_ / "image";
    options_.cache = directory_ / "cache";
    options_.level = 1;
  }

  void write(const std::string& name, std::string_view content) {
    auto path = directory_ / name;
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomically(path, content));
  }

  // Sets the tree's times back, so that its files are not too young to be remembered.
  void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(40)); }

  PackResult packed() {
    auto nodes = list_directory(directory_ / "tree", Owner::kRoot);
    EXPECT_TRUE(nodes) << nodes.error().message();
    auto result = pack_nodes({.early = {}, .nodes = std::move(*nodes)}, options_);
    EXPECT_TRUE(result) << result.error().message();
    return std::move(*result);
  }

  std::string image() { return read_file(options_.target, 1 << 28).value(); }

  testing::TemporaryDirectory directory_;
  PackOptions options_;
};

TEST_F(PackNodes, SameBytesWhateverTheThreadsAndTheCache) {
  for (auto codec : codec::kCodecs) {
    options_.codec = codec;
    options_.level = codec == codec::Codec::kNone ? 0 : 1;
    options_.threads = 1;
    options_.cache.clear();
    packed();
    auto alone = image();
    options_.threads = 7;
    packed();
    EXPECT_EQ(image(), alone) << codec::name(codec);
    options_.cache = directory_ / "cache";
    packed();
    EXPECT_EQ(image(), alone) << codec::name(codec) << " with a cache";
    std::filesystem::remove(options_.target);
    EXPECT_EQ(packed().compressed_segments, 0u);
    EXPECT_EQ(image(), alone) << codec::name(codec) << " from the cache";
  }
}

TEST_F(PackNodes, HoldsWhatTheTreeHolds) {
  for (auto codec : codec::kCodecs) {
    options_.codec = codec;
    options_.level = codec == codec::Codec::kNone ? 0 : 1;
    packed();
    auto bytes = image();
    MemoryInput input(as_bytes(bytes));
    ImageReader reader(input);
    std::size_t files = 0;
    for (;;) {
      auto record = reader.next();
      ASSERT_TRUE(record) << record.error().message();
      if (*record == nullptr) break;
      if ((*record)->header.type() != cpio::kRegular) continue;
      auto path = directory_ / ("tree/" + (*record)->path);
      ++files;
      EXPECT_EQ(reader.read_body(1 << 24).value(), read_file(path, 1 << 24).value()) << path;
    }
    EXPECT_EQ(files, 42u);
  }
}

TEST_F(PackNodes, CompressesALargeFileAloneAndSmallOnesTogether) {
  auto segments = packed().index.segments.size();
  EXPECT_GT(segments, 3u);
  EXPECT_LT(segments, 10u);
  write("tree/large", sample(600'000, 200));
  EXPECT_EQ(packed().compressed_segments, 1u);
  write("tree/d0/f0", sample(60'000, 201));
  EXPECT_EQ(packed().compressed_segments, 1u);
}

TEST_F(PackNodes, AFileMoreMovesFewSegments) {
  auto all = packed().compressed_segments;
  write("tree/d0/another", sample(1000, 300));
  EXPECT_LE(packed().compressed_segments, 2u);
  EXPECT_GT(all, 3u);
}

TEST_F(PackNodes, WritesNothingWhenNothingChanged) {
  settle();
  packed();
  EXPECT_FALSE(packed().written);
  ::utimensat(AT_FDCWD, (directory_ / "tree/large").c_str(), nullptr, 0);
  EXPECT_FALSE(packed().written) << "a file was touched and is the same";
  std::filesystem::create_hard_link(options_.target, directory_ / "further");
  EXPECT_FALSE(packed().written) << "the image has a further link";
}

TEST_F(PackNodes, NoticesAFileThatChangedWithinTheClocksTick) {
  settle();
  packed();
  auto before = image();
  // The same size, and the times of before as far as a program can set them.
  struct stat status{};
  auto path = directory_ / "tree/d1/f1";
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  auto fd = open_file(path, O_WRONLY);
  ASSERT_TRUE(fd);
  ASSERT_TRUE(write_full(*fd, as_bytes("X"), path));
  timespec times[] = {status.st_atim, status.st_mtim};
  ASSERT_EQ(::futimens(fd->get(), times), 0);
  EXPECT_TRUE(packed().written);
  EXPECT_NE(image(), before);
  // And again at once, when only the kernel's clock tells the two writes apart, if anything does.
  for (int i = 0; i < 20; ++i) {
    auto old = image();
    ASSERT_EQ(::pwrite(fd->get(), i % 2 == 0 ? "Y" : "Z", 1, 0), 1);
    ASSERT_EQ(::futimens(fd->get(), times), 0);
    packed();
    ASSERT_NE(image(), old) << "change " << i << " went unnoticed";
  }
}

TEST_F(PackNodes, RemembersNoFileThatWasYoungWhenItWasLookedAt) {
  auto node = node_of_bytes("f", cpio::kRegular | 0644, "content");
  node.content.file = directory_ / "tree/large";
  node.content.identity = FileIdentity{.modified_ns = 1'000'000'000, .changed_ns = 1'000'000'001};
  PackRecord record;
  record.add_file(node, 1'000'000'002);
  EXPECT_FALSE(record.find_file(node.content));
  record.add_file(node, 2'000'000'000);
  EXPECT_TRUE(record.find_file(node.content));
  node.content.identity->changed_ns += 1;
  EXPECT_FALSE(record.find_file(node.content));
}

TEST_F(PackNodes, KeepsTheOrderOfAPathThatComesTwice) {
  ImageNodes nodes;
  nodes.nodes.push_back(node_of_bytes("f", cpio::kRegular | 0644, sample(1 << 20, 1)));
  nodes.nodes.push_back(node_of_bytes("f", cpio::kRegular | 0644, "later"));
  ASSERT_TRUE(pack_nodes(std::move(nodes), options_));
  auto bytes = image();
  MemoryInput input(as_bytes(bytes));
  ImageReader reader(input);
  ASSERT_TRUE(reader.next());
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.read_body(100).value(), "later");
}

TEST_F(PackNodes, MakesTheImageAgainWhenItWasChanged) {
  settle();
  packed();
  auto good = image();
  write("image", "damaged");
  EXPECT_TRUE(packed().written);
  EXPECT_EQ(image(), good);
}

TEST_F(PackNodes, MakesTheImageAgainWhenItWasChangedAndItsSizeAndTimeKept) {
  settle();
  packed();
  EXPECT_FALSE(packed().written);
  auto good = image();
  struct stat before{};
  ASSERT_EQ(::stat((directory_ / "image").c_str(), &before), 0);
  auto fd = open_file(directory_ / "image", O_WRONLY);
  ASSERT_TRUE(fd);
  ASSERT_EQ(::pwrite(fd->get(), "ZZ", 2, before.st_size / 2), 2);
  timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::futimens(fd->get(), times), 0);
  EXPECT_TRUE(packed().written);
  EXPECT_EQ(image(), good);
}

TEST_F(PackNodes, AFurtherLinkToTheImageDoesNotMakeItAnew) {
  settle();
  packed();
  EXPECT_FALSE(packed().written);
  std::filesystem::create_hard_link(directory_ / "image", directory_ / "link");
  EXPECT_FALSE(packed().written);
}

TEST_F(PackNodes, MakesADamagedCacheEntryAgain) {
  packed();
  auto good = image();
  std::size_t damaged = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory_ / "cache/segments")) {
    if (file.path().filename() == "usage") continue;
    auto fd = open_file(file.path(), O_WRONLY);
    ASSERT_TRUE(fd);
    ASSERT_EQ(::pwrite(fd->get(), "damage", 6, static_cast<off_t>(file.file_size() / 2)), 6);
    ++damaged;
  }
  std::filesystem::remove(options_.target);
  EXPECT_EQ(packed().compressed_segments, damaged);
  EXPECT_EQ(image(), good);
}

TEST_F(PackNodes, MakesACutCacheEntryAgain) {
  packed();
  auto good = image();
  for (const auto& file : std::filesystem::directory_iterator(directory_ / "cache/segments"))
    if (file.path().filename() != "usage") std::filesystem::resize_file(file.path(), 40);
  std::filesystem::remove(options_.target);
  packed();
  EXPECT_EQ(image(), good);
}

TEST_F(PackNodes, AnUnusableRecordCostsTimeOnly) {
  packed();
  auto good = image();
  for (const auto& file : std::filesystem::directory_iterator(directory_ / "cache/packs")) {
    auto text = read_file(file.path(), 1 << 24).value();
    text[text.size() / 2] ^= 1;
    ASSERT_TRUE(write_file_atomically(file.path(), text));
  }
  packed();
  EXPECT_EQ(image(), good);
}

TEST_F(PackNodes, TheCacheStaysBelowItsLimit) {
  options_.cache_limit_bytes = 4 << 20;
  for (unsigned round = 0; round < 4; ++round) {
    for (unsigned i = 0; i < 40; ++i)
      write("tree/d" + std::to_string(i % 4) + "/f" + std::to_string(i),
            sample(60'000, i + 100 * round));
    packed();
    std::uint64_t total = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_ / "cache/segments"))
      total += file.file_size();
    EXPECT_LE(total, options_.cache_limit_bytes);
  }
  EXPECT_GT(packed().index.image_bytes, 0u);
}

TEST_F(PackNodes, EvictsWhatWasNotUsedForLongest) {
  packed();
  auto segments = directory_ / "cache/segments";
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(segments))
    if (file.path().filename() != "usage") files.push_back(file.path());
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    timespec used[2] = {{.tv_sec = 1'000'000 + static_cast<long>(i)},
                        {.tv_sec = 1'000'000 + static_cast<long>(i)}};
    ASSERT_EQ(::utimensat(AT_FDCWD, files[i].c_str(), used, 0), 0);
    total += std::filesystem::file_size(files[i]);
  }
  SegmentCache(segments, total).evict(1);
  EXPECT_FALSE(std::filesystem::exists(files.front()));
  EXPECT_TRUE(std::filesystem::exists(files.back()));
  auto kept = [](const auto& file) { return std::filesystem::exists(file); };
  EXPECT_TRUE(std::ranges::is_partitioned(files, std::not_fn(kept)));
}

TEST_F(PackNodes, PackersAtTheSameTimeShareTheCacheAndTheTarget) {
  packed();
  auto good = image();
  std::filesystem::remove_all(options_.cache);
  std::filesystem::remove(options_.target);
  {
    std::vector<std::jthread> packers;
    for (int i = 0; i < 4; ++i) packers.emplace_back([this] { packed(); });
  }
  EXPECT_EQ(image(), good);
  for (const auto& file : std::filesystem::directory_iterator(directory_.path()))
    EXPECT_THAT(file.path().filename().string(), ::testing::AnyOf("image", "tree", "cache"));
}

TEST_F(PackNodes, RecordsMayHaveChecksums) {
  options_.checksum = true;
  packed();
  auto bytes = image();
  MemoryInput input(as_bytes(bytes));
  ImageReader reader(input);
  for (;;) {
    auto record = reader.next();
    ASSERT_TRUE(record);
    if (*record == nullptr) break;
    EXPECT_TRUE((*record)->checksum) << (*record)->path;
    auto body = reader.read_body(1 << 24);  // compares it
    ASSERT_TRUE(body) << body.error().message();
  }
}

TEST_F(PackNodes, AFileThatGrowsMeanwhileIsRefused) {
  auto nodes = list_directory(directory_ / "tree", Owner::kRoot);
  ASSERT_TRUE(nodes);
  write("tree/large", "another file now");
  auto result = pack_nodes({.early = {}, .nodes = std::move(*nodes)}, options_);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message(), ::testing::HasSubstr("it changed while it was packed"));
  EXPECT_FALSE(std::filesystem::exists(options_.target));
}

TEST_F(PackNodes, GoesIntoAPipeAsItGoesIntoAFile) {
  packed();
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  std::string got;
  std::jthread reader([&] {
    std::vector<std::byte> buffer(1 << 16);
    for (;;) {
      auto n = read_full(pipe->first, buffer, "pipe");
      if (!n || *n == 0) break;
      got += as_text(std::span(buffer).first(*n));
    }
  });
  options_.stream = &pipe->second;
  packed();
  pipe->second.reset();
  reader.join();
  EXPECT_EQ(got, image());
}

}  // namespace
}  // namespace capsem::initrd
