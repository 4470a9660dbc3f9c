#include "initrd/pack.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "base/text.h"
#include "initrd/file_content.h"
#include "initrd/image.h"
#include "manifest/sums.h"
#include "tests/initrd/guest_fixture.h"

namespace capsem::initrd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Pack : public GuestFixture {
 protected:
  PackResult packed() {
    auto result = pack();
    EXPECT_TRUE(result) << result.error().message();
    return std::move(*result);
  }

  // "MODE PATH" of every record but the base segment's directories.
  std::vector<std::string> records() {
    std::vector<std::string> lines;
    auto content = image();
    MemoryInput input(as_bytes(content));
    ImageReader reader(input);
    for (;;) {
      auto record = reader.next();
      EXPECT_TRUE(record) << record.error().message();
      if (!record || *record == nullptr) break;
      char mode[16];
      std::snprintf(mode, sizeof mode, "%o ", (*record)->header.permissions());
      lines.push_back(mode + (*record)->path);
    }
    return lines;
  }
};

TEST_F(Pack, HoldsEveryEntryOfTheInitrdWithThePolicysModes) {
  packed();
  EXPECT_THAT(records(),
              ElementsAre("755 capsem", "755 capsem/bin", "444 capsem/entries", "755 init",
                          "555 capsem/bin/one", "555 capsem/bin/two", "555 capsem/data",
                          "555 capsem/data/a", "444 capsem/data/a/x.txt", "444 capsem/data/b.txt",
                          "444 capsem/SHA256SUMS"));
}

TEST_F(Pack, SameInputsGiveTheSameBytesWhateverTheSourcesModesTimesAndCache) {
  packed();
  auto first = image();
  ::chmod((directory_ / "programs/one").c_str(), 0777);
  ::utimensat(AT_FDCWD, (directory_ / "data/b.txt").c_str(), nullptr, 0);
  options_.target = directory_ / "elsewhere/initrd.img";
  options_.cache.clear();
  mode_t before = ::umask(0);
  packed();
  ::umask(before);
  EXPECT_EQ(image(), first);
  struct stat status{};
  ::stat((directory_ / "programs/one").c_str(), &status);
  EXPECT_EQ(status.st_mode & 07777, 0777u) << "packing changed a source";
}

TEST_F(Pack, CompressesOnlyWhatChanged) {
  EXPECT_EQ(packed().compressed_segments, 5u);  // base, init, one with two, data, hashes
  write("data/b.txt", "changed");
  auto second = packed();
  EXPECT_EQ(second.compressed_segments, 2u);  // data, hashes
  EXPECT_TRUE(second.written);
}

TEST_F(Pack, ListsTheHashOfEveryFileOfTheInitrdsEntries) {
  packed();
  write("data/b.txt", "changed");
  packed();
  auto packed_image = image();
  MemoryInput whole(as_bytes(packed_image));
  ImageReader first(whole);
  auto number = find_content(first, manifest::kSumsPath);
  ASSERT_TRUE(number) << number.error().message();
  MemoryInput again(as_bytes(packed_image));
  ImageReader second(again);
  std::vector<std::byte> text;
  ASSERT_TRUE(copy_body(second, *number, append_to(text)));
  auto hash = [](std::string_view content) { return sha256(as_bytes(content)); };
  EXPECT_EQ(manifest::decode_sums(as_text(text), "x").value(),
            (manifest::Sums{{"/capsem/bin/one", hash("#!/bin/sh\necho same\n")},
                            {"/capsem/bin/two", hash("#!/bin/sh\necho same\n")},
                            {"/capsem/data/a/x.txt", hash(std::string(10000, 'x'))},
                            {"/capsem/data/b.txt", hash("changed")},
                            {"/init", hash("#!/bin/sh\necho init\n")}}));
}

TEST_F(Pack, WritesNothingWhenNothingChanged) {
  packed();
  auto before = std::filesystem::last_write_time(options_.target);
  auto again = packed();
  EXPECT_FALSE(again.written);
  EXPECT_EQ(std::filesystem::last_write_time(options_.target), before);
}

TEST_F(Pack, RepairsADamagedImageAndADamagedCache) {
  auto good = packed().index.image_sha256;
  write("out/initrd.img", "damaged");
  for (const auto& file : std::filesystem::directory_iterator(options_.cache / "segments"))
    ASSERT_TRUE(write_file_atomically(file.path(), std::string(100, 'x')));
  auto repaired = packed();
  EXPECT_TRUE(repaired.written);
  EXPECT_EQ(sha256(as_bytes(image())), good);
}

TEST_F(Pack, KeepsTheBytesOfHardLinksToTheOldImage) {
  packed();
  auto old = image();
  std::filesystem::create_hard_link(options_.target, directory_ / "booting.img");
  write("data/b.txt", "changed");
  packed();
  EXPECT_NE(image(), old);
  EXPECT_EQ(read_file(directory_ / "booting.img", 1 << 24).value(), old);
}

TEST_F(Pack, HandsOverTheImageItPackedWhateverReplacesIt) {
  auto first = packed();
  write("data/b.txt", "changed");
  packed();
  EXPECT_EQ(sha256(first.image, "image").value(), first.index.image_sha256);
}

TEST_F(Pack, KeepsTheOldImageWhenASourceIsMissing) {
  packed();
  auto old = image();
  std::filesystem::remove(directory_ / "programs/two");
  auto failed = pack();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message(), HasSubstr("programs/two"));
  EXPECT_EQ(image(), old);
}

TEST_F(Pack, RefusesANameThatIsNoUtf8BeforeItReplacesAnything) {
  packed();
  const auto index = read_file(index_path(options_.target), 1 << 20).value();
  auto old = image();
  for (std::string name : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    write("data/" + name, "x");
    auto failed = pack();
    ASSERT_FALSE(failed) << name;
    EXPECT_THAT(failed.error().message(), HasSubstr("its name is no valid UTF-8"));
    std::filesystem::remove(directory_ / ("data/" + name));
  }
  EXPECT_EQ(image(), old);
  EXPECT_EQ(read_file(index_path(options_.target), 1 << 20).value(), index);
  write("data/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "x");
  EXPECT_TRUE(packed().written);
}

// As after a process that ended when it had replaced the image and not its index.
TEST_F(Pack, HealsAnIndexThatIsNotTheImages) {
  namespace fs = std::filesystem;
  for (std::string after : {"new", "old"}) {
    write("data/b.txt", "old");
    packed();
    const auto index = read_file(index_path(options_.target), 1 << 20).value();
    fs::remove_all(directory_ / "saved");
    fs::copy(options_.cache / "packs", directory_ / "saved");
    write("data/b.txt", "new");
    packed();
    write("out/initrd.json", index);
    fs::remove_all(options_.cache / "packs");
    fs::copy(directory_ / "saved", options_.cache / "packs");
    EXPECT_FALSE(open_image(options_.target));
    write("data/b.txt", after);
    packed();
    auto healed = open_image(options_.target);
    EXPECT_TRUE(healed) << after << ": " << healed.error().message();
  }
}

TEST_F(Pack, AnEntryTakenOffTheListLeavesTheImage) {
  packed();
  std::erase_if(manifest_.entries, [](const auto& entry) { return entry.name == "two"; });
  packed();
  EXPECT_THAT(records(), ::testing::Not(::testing::Contains("555 capsem/bin/two")));
}

TEST_F(Pack, EndsEveryLz4SegmentAsLinuxNeedsIt) {
  options_.codec = codec::Codec::kLz4;
  packed();
  EXPECT_EQ(records().size(), 11u);
}

TEST_F(Pack, PutsTheModulesSegmentFirstAsItIs) {
  packed();
  auto modules = image();  // any image will do
  write("modules.img", modules);
  auto segment = open_file(directory_ / "modules.img", O_RDONLY);
  ASSERT_TRUE(segment);
  modules_ = std::move(*segment);
  auto result = packed();
  EXPECT_EQ(image().substr(0, modules.size()), modules);
  EXPECT_EQ(result.index.segments.at(0).name, "modules");
  EXPECT_EQ(result.index.segments.at(result.index.entries.at(0).segment).name, "init");
}

TEST_F(Pack, EverySegmentReadsTheSameToGnuCpioAndBsdtar) {
  options_.codec = codec::Codec::kGzip;
  packed();
  // One stream for the tools that stop at the first trailer: each segment on its own.
  auto content = image();
  MemoryInput input(as_bytes(content));
  ImageReader reader(input);
  std::vector<std::string> ours;
  std::vector<std::string> theirs;
  std::vector<std::string> bsdtars;
  reader.on_segment([&](const Segment& segment) {
    write("segment.gz", std::string_view(content).substr(segment.offset, segment.bytes));
    for (auto [tool, list] : {std::pair{"zcat segment.gz | cpio -t --quiet", &theirs},
                              std::pair{"bsdtar -tf segment.gz | sed 's,/$,,'", &bsdtars}}) {
      auto text = run_for_output({.argv = {"sh", "-c", tool}, .directory = directory_.path()});
      ASSERT_TRUE(text) << text.error().message();
      for (auto line : split(trim(*text), '\n')) list->emplace_back(line);
    }
  });
  for (;;) {
    auto record = reader.next();
    ASSERT_TRUE(record) << record.error().message();
    if (*record == nullptr) break;
    ours.push_back((*record)->path);
  }
  EXPECT_EQ(theirs, ours);
  EXPECT_EQ(bsdtars, ours);
}

TEST_F(Pack, LockIsNotLeftInTheWayByAKilledPacker) {
  ASSERT_TRUE(make_directories(directory_ / "out"));
  pid_t child = ::fork();
  if (child == 0) {
    auto lock = lock_file(options_.target.string() + ".lock", LockMode::kExclusive);
    ::raise(SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  packed();
}

TEST_F(Pack, OpenImageNoticesAFlippedBit) {
  packed();
  EXPECT_TRUE(open_image(options_.target));
  auto content = image();
  content[content.size() / 2] ^= 1;
  write("out/initrd.img", content);
  EXPECT_EQ(open_image(options_.target).error().kind(), ErrorKind::kDamaged);
}

TEST(Index, RefusesWhatItDidNotWrite) {
  EXPECT_FALSE(decode_index("", "x"));
  EXPECT_FALSE(decode_index("{}", "x"));
  EXPECT_FALSE(decode_index(R"({"version": 2})", "x"));
  EXPECT_FALSE(decode_index("[1,2", "x"));
  Index index;
  index.segments = {{.name = "base"}};
  index.entries = {
      {.name = "e", .segment = 0, .files = {{.path = "/e", .mode = 0555, .bytes = 3}}}};
  EXPECT_EQ(decode_index(encode_index(index), "x").value(), index);
  index.entries[0].segment = 1;
  EXPECT_FALSE(decode_index(encode_index(index), "x"));
}

}  // namespace
}  // namespace capsem::initrd
