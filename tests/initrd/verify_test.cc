#include "initrd/verify.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"
#include "initrd/boot_config.h"
#include "manifest/sums.h"
#include "tests/initrd/elf_head.h"
#include "tests/initrd/raw_archive.h"

namespace capsem::initrd {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::string_literals;

Findings found(std::string_view image, std::uint64_t limit_bytes = kDefaultLimitBytes) {
  MemoryInput input(as_bytes(image));
  auto findings = verify(input, nullptr, limit_bytes);
  EXPECT_TRUE(findings) << findings.error().message();
  return findings ? *findings : Findings{};
}

// The start of an ELF file.
RawRecord program(const std::string& path, std::string body = elf_head(EM_X86_64)) {
  return {.path = path, .mode = cpio::kRegular | 0755, .body = std::move(body)};
}

// An image for which there is nothing to warn of.
RawArchive sound() {
  return RawArchive().add(program("init"));
}

std::string gzip(const RawArchive& archive) {
  auto packed = codec::compress(codec::Codec::kGzip, 6, as_bytes(archive.bytes())).value();
  return std::string(as_text(packed));
}

TEST(VerifyAny, HasNothingToSayOfASoundImage) {
  auto image = sound().trailer();
  EXPECT_THAT(found(image.bytes()).problems, IsEmpty());
  EXPECT_THAT(found(image.bytes()).warnings, IsEmpty());
  EXPECT_THAT(found(gzip(image)).warnings, IsEmpty());
}

TEST(VerifyAny, DamageIsAProblem) {
  auto whole = sound().trailer().bytes();
  EXPECT_THAT(found("nonsense").problems, ElementsAre(HasSubstr("segment at byte 0")));
  EXPECT_THAT(found("").problems, ElementsAre(HasSubstr("no segment")));
  EXPECT_THAT(found(whole.substr(0, 116)).problems, ElementsAre(HasSubstr("beyond the end")));
  EXPECT_THAT(found("070707" + std::string(200, '0')).problems,
              ElementsAre(HasSubstr("old portable format")));
  auto packed = gzip(sound().trailer());
  packed[packed.size() - 6] ^= 1;
  EXPECT_THAT(found(packed).problems, ElementsAre(HasSubstr("checksum")));
}

TEST(VerifyAny, AnImageOverTheLimitIsAProblem) {
  auto packed = gzip(sound().add({.path = "a", .body = std::string(1 << 20, 'x')}).trailer());
  EXPECT_THAT(found(packed, 1 << 16).problems, ElementsAre(HasSubstr("limit")));
}

TEST(VerifyAny, AWrongChecksumIsAProblem) {
  EXPECT_THAT(
      found(sound().add({.path = "a", .body = "b", .checksum = 'b'}).trailer().bytes()).problems,
      IsEmpty());
  EXPECT_THAT(
      found(sound().add({.path = "a", .body = "b", .checksum = 'c'}).trailer().bytes()).problems,
      ElementsAre(HasSubstr("checksum")));
}

TEST(VerifyAny, WhatCannotBeReadIsAnErrorAndNoProblem) {
  class Broken : public Input {
   public:
    Result<std::span<const std::byte>> peek(std::size_t) override {
      return fail_system("read", "the disk", EIO);
    }

   private:
    void drop(std::size_t) override {}
  };
  Broken broken;
  EXPECT_FALSE(verify(broken, nullptr));
}

TEST(VerifyAny, WarnsOfRecordsThatLinuxDrops) {
  auto image = sound()
                   .add({.path = "a/b"})
                   .directory("d")
                   .add({.path = "d/x"})
                   .add({.path = "d"})
                   .add({.path = "later", .inode = 7, .links = 2})
                   .trailer();
  EXPECT_THAT(found(image.bytes()).warnings,
              ElementsAre(AllOf(HasSubstr("a/b: its directory a does not"), HasSubstr("drops")),
                          HasSubstr("d: the directory d, which is not empty"),
                          AllOf(HasSubstr("later: "), HasSubstr("makes an empty file"))));
}

TEST(VerifyAny, WarnsOfEveryOddRecord) {
  auto image = sound()
                   .add({.path = std::string("cut\0short", 9)})
                   .add({.path = ""})
                   .add({.path = "body", .mode = cpio::kDirectory | 0755, .body = "x"})
                   .add({.path = "type", .mode = 0110644})
                   .symlink("long", std::string(5000, 'x'))
                   .append(std::string(8, '\0'))
                   .add({.path = "zeros"})
                   .add({.path = "../up"})
                   .trailer();
  EXPECT_THAT(found(image.bytes()).warnings,
              ElementsAre(HasSubstr("cut: its name holds"),
                          HasSubstr("a record without a name: its name is empty"),
                          HasSubstr("body: it has a body"), HasSubstr("type: its type"),
                          HasSubstr("long: its target is longer"), HasSubstr("zeros: zero bytes"),
                          HasSubstr("../up: its name holds ..")));
}

TEST(VerifyAny, WarnsOfAnInitThatDoesNotStart) {
  EXPECT_THAT(found(RawArchive().add({.path = "x"}).trailer().bytes()).warnings,
              ElementsAre(HasSubstr("there is no /init")));
  EXPECT_THAT(found(RawArchive().add({.path = "init"}).trailer().bytes()).warnings,
              ElementsAre(HasSubstr("its mode is 0644")));
  EXPECT_THAT(found(RawArchive().symlink("init", "x").add(program("x")).trailer().bytes()).warnings,
              IsEmpty());
}

TEST(VerifyAny, AFieldThatNewerKernelsRefuseIsAProblem) {
  auto bytes = sound().add({.path = "x"}).trailer().bytes();
  auto with = [&bytes](std::string_view digits) {
    auto changed = bytes;
    return changed.replace(cpio::kMagic.size(), digits.size(), digits);
  };
  EXPECT_THAT(found(with("0x000001")).problems,
              ElementsAre(HasSubstr("init: a field of its header")));
  EXPECT_THAT(found(with("0000000z")).problems, ElementsAre(HasSubstr("newer kernels refuse")));
}

TEST(VerifyAny, ANameWithoutItsNulIsAProblem) {
  auto bytes = sound().add({.path = "abcd"}).trailer().bytes();
  auto name = bytes.find("abcd") + 4;
  bytes[name] = 'P';
  EXPECT_THAT(found(bytes).problems, ElementsAre(HasSubstr("does not end with a NUL")));
  EXPECT_THAT(found(bytes).warnings, IsEmpty());
}

TEST(VerifyAny, AGzipHeaderThatLinuxDoesNotReadIsAProblem) {
  auto packed = gzip(sound().trailer());
  auto with = [&packed](char flags, std::string_view field) {
    auto changed = packed;
    changed[3] = flags;
    return changed.insert(10, field);
  };
  EXPECT_THAT(found(with(8, "name\0"s)).problems, IsEmpty());
  EXPECT_THAT(found(with(16, "text\0"s)).problems, ElementsAre(HasSubstr("FCOMMENT")));
  EXPECT_THAT(found(with(4, "\2\0ab"s)).problems, ElementsAre(HasSubstr("FEXTRA")));
  EXPECT_THAT(found(with(2, "ab")).problems, ElementsAre(HasSubstr("FHCRC")));
}

TEST(VerifyAny, ABootConfigurationIsNoDamage) {
  for (const auto& image : {sound().trailer().bytes(), gzip(sound().trailer())}) {
    auto config = encode_boot_config("kernel.quiet\n", image.size());
    for (std::string behind : {""s, "\0\0\0"s}) {
      EXPECT_THAT(found(image + config + behind).problems, IsEmpty());
    }
    config[0] = 'K';  // its checksum does not match: Linux does not cut it off
    EXPECT_FALSE(found(image + config).problems.empty());
  }
}

TEST(VerifyAny, WarnsOfTimesOnce) {
  auto image = sound().add({.path = "a", .mtime = 1}).add({.path = "b", .mtime = 1}).trailer();
  EXPECT_THAT(found(image.bytes()).warnings, ElementsAre(HasSubstr("PRESERVE_MTIME")));
}

TEST(VerifyAny, WarnsOfAMissingTrailer) {
  EXPECT_THAT(found(sound().bytes()).warnings,
              ElementsAre(HasSubstr("the segment at byte 0: its last archive has no trailer")));
  EXPECT_THAT(found(gzip(sound().trailer().add({.path = "x"}))).warnings,
              ElementsAre(HasSubstr("no trailer")));
}

TEST(VerifyAny, WarnsOfMicrocodeThatLinuxDoesNotFind) {
  const std::string name = "kernel/x86/microcode/GenuineIntel.bin";
  auto early = [](const std::string& path) {
    return RawArchive()
        .directory("kernel")
        .directory("kernel/x86")
        .directory("kernel/x86/microcode")
        .add({.path = path, .body = "x"})
        .trailer();
  };
  auto rest = gzip(sound().trailer());
  EXPECT_THAT(found(early(name).bytes() + rest).warnings, IsEmpty());
  EXPECT_THAT(found(gzip(early(name)) + rest).warnings, ElementsAre(HasSubstr("compressed")));
  auto aligned = rest + std::string(cpio::padding_to_4(rest.size()), '\0');
  EXPECT_THAT(found(aligned + early(name).bytes()).warnings, ElementsAre(HasSubstr("compressed")));
  EXPECT_THAT(found(early("./" + name).bytes() + rest).warnings,
              ElementsAre(HasSubstr("under just that name")));
}

TEST(VerifyAny, CountsTheRestOfManyWarningsOfAKind) {
  auto image = sound();
  for (int i = 0; i < 100; ++i) image.add({.path = "missing/" + std::to_string(i)});
  auto warnings = found(image.trailer().bytes()).warnings;
  EXPECT_THAT(warnings, SizeIs(21));
  EXPECT_THAT(warnings.back(), HasSubstr("80 more records"));
}

TEST(VerifyAny, AcceptsACompressedSegmentAtAnyByte) {
  EXPECT_THAT(found(sound().trailer().bytes() + "\0"s + gzip(RawArchive().trailer())).problems,
              IsEmpty());
}

Result<> bootable(std::string_view image) {
  MemoryInput input(as_bytes(image));
  return check_bootable(input);
}

TEST(CheckBootable, WantsAnInit) {
  auto checked = bootable(RawArchive().add(program("x")).bytes());
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message(), "cannot find /init: there is none");
}

TEST(CheckBootable, WantsAnInitThatLinuxCanStart) {
  auto script = [](const std::string& line) { return program("init", line + "\n"); };
  auto shell = [&script](const std::string& line) {
    return RawArchive().directory("bin").add(program("bin/sh")).add(script(line)).trailer();
  };
  EXPECT_TRUE(bootable(gzip(sound().trailer())));
  EXPECT_TRUE(bootable(RawArchive().symlink("init", "x").add(program("x")).trailer().bytes()));
  EXPECT_TRUE(bootable(shell("#!/bin/sh").bytes()));
  EXPECT_TRUE(bootable(shell("#! \t/bin/sh -e").bytes()));
  struct Case {
    RawArchive image;
    const char* error;
  };
  for (const auto& [image, error] :
       {Case{RawArchive().add({.path = "init"}),
             "cannot start /init: it cannot be executed: its mode is 0644"},
        Case{RawArchive().directory("init"), "cannot start /init: it is a directory"},
        Case{RawArchive().symlink("init", "sbin/x"),
             "cannot start /init: it is a symlink to sbin/x, which leads to nothing in the image"},
        Case{RawArchive().symlink("init", "a").symlink("a", "b"),
             "cannot start /init: it is a symlink to a, which leads to nothing in the image"},
        Case{RawArchive().symlink("init", "a").symlink("a", "init"),
             "cannot start /init: it is a symlink to a, which leads in circles, or through more "
             "symlinks than Linux follows"},
        Case{RawArchive().symlink("init", "a/b").symlink("a", "a"),
             "cannot start /init: it is a symlink to a/b, which leads in circles, or through more "
             "symlinks than Linux follows"},
        Case{RawArchive().add(program("init", elf_head(EM_AARCH64))),
             "cannot start /init: it is a program for aarch64, not for x86_64"},
        Case{RawArchive().add(program("init", "text")),
             "cannot start /init: it is neither an ELF file nor a script"},
        Case{RawArchive().add(script("#!")),
             "cannot start /init: it is a script for no interpreter"},
        Case{shell("#!/bin/bash"),
             "cannot start /init: it is a script for /bin/bash, which is not in the image"},
        Case{RawArchive().directory("bin").add({.path = "bin/sh"}).add(script("#!/bin/sh")),
             "cannot start /init: its interpreter /bin/sh cannot be executed: its mode is 0644"}}) {
    auto checked = bootable(image.bytes());
    ASSERT_FALSE(checked) << error;
    EXPECT_EQ(checked.error().message(), error);
    auto warnings = found(image.bytes()).warnings;
    EXPECT_THAT(warnings, Contains(HasSubstr(checked.error().reason()))) << error;
  }
}

TEST(CheckBootable, RefusesWhatLinuxWouldNotUnpack) {
  EXPECT_FALSE(bootable(""));
  EXPECT_FALSE(bootable("nonsense"));
  auto cut = gzip(sound().trailer());
  EXPECT_FALSE(bootable(std::string_view(cut).substr(0, cut.size() - 9)));
}

// The guest's own image: two programs and a directory of data, with an index to it.
class VerifyGuest : public ::testing::Test {
 protected:
  VerifyGuest() {
    manifest_.entries = {
        {.name = "init", .build = "init", .path = "/init", .mode = 0755, .in_initrd = true},
        {.name = "one", .build = "one", .path = "/capsem/bin/one", .mode = 0555, .in_initrd = true},
        {.name = "data", .file = "data", .path = "/capsem/data", .mode = 0444, .in_initrd = true},
        {.name = "fallback", .build = "f", .path = "/capsem/bin/f", .mode = 0555},
    };
    one_ = {.path = "capsem/bin/one", .mode = cpio::kRegular | 0555, .body = "#!/bin/sh\n"};
  }

  // One segment for each half, and an index that fits.
  void build() {
    std::string first = RawArchive()
                            .directory("capsem")
                            .directory("capsem/bin")
                            .directory("capsem/data", 0555)
                            .add(program("init"))
                            .trailer()
                            .bytes();
    RawArchive rest;
    if (has_one_) rest.add(one_);
    rest.add({.path = "capsem/data/x", .mode = cpio::kRegular | 0444, .body = "data"});
    sums_.body = listed_.value_or(manifest::encode_sums({{"/init", digest(elf_head(EM_X86_64))},
                                                         {"/capsem/bin/one", digest(one_.body)},
                                                         {"/capsem/data/x", digest("data")}}));
    if (has_sums_) rest.add(sums_);
    rest.trailer();
    image_ = first + rest.bytes();
    index_ = {
        .image_bytes = image_.size(),
        .image_sha256 = sha256(as_bytes(image_)),
        .segments = {{.name = "base", .bytes = first.size(), .sha256 = digest(first)},
                     {.name = "one",
                      .offset = first.size(),
                      .bytes = rest.bytes().size(),
                      .sha256 = digest(rest.bytes())}},
        .entries = {
            {.name = "data",
             .segment = 1,
             .files = {
                 {.path = "/capsem/data/x", .mode = 0444, .bytes = 4, .sha256 = digest("data")}}}}};
  }

  static Digest digest(std::string_view content) { return sha256(as_bytes(content)); }

  std::vector<std::string> problems() {
    MemoryInput input(as_bytes(image_));
    GuestRules rules{manifest_, index_};
    auto findings = verify(input, &rules);
    EXPECT_TRUE(findings);
    return findings->problems;
  }

  manifest::Manifest manifest_;
  RawRecord one_;
  bool has_one_ = true;
  RawRecord sums_ = {.path = "capsem/SHA256SUMS", .mode = cpio::kRegular | 0444};
  bool has_sums_ = true;
  std::optional<std::string> listed_;  // in place of the true hashes
  std::string image_;
  Index index_;
};

TEST_F(VerifyGuest, FindsNothingWrongWithWhatTheIndexAndThePolicySay) {
  build();
  EXPECT_THAT(problems(), IsEmpty());
}

TEST_F(VerifyGuest, NamesAMode) {
  one_.mode = cpio::kRegular | 0755;
  build();
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("/capsem/bin/one: its mode is 0755")));
}

TEST_F(VerifyGuest, NamesAnOwner) {
  one_.uid = 5;
  build();
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("/capsem/bin/one: it belongs to 5:0")));
}

TEST_F(VerifyGuest, NamesASymlinkInAFilesPlace) {
  one_.mode = cpio::kSymlink | 0777;
  build();
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("/capsem/bin/one: it is a symlink"),
                                      HasSubstr("/capsem/SHA256SUMS does not hold the hashes")));
}

TEST_F(VerifyGuest, NamesAMissingEntry) {
  has_one_ = false;
  build();
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("one is missing"),
                                      HasSubstr("/capsem/SHA256SUMS does not hold the hashes")));
}

TEST_F(VerifyGuest, NamesAMissingListOfHashes) {
  has_sums_ = false;
  build();
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("there is no /capsem/SHA256SUMS")));
}

TEST_F(VerifyGuest, NamesAListOfHashesThatIsNotOfTheseFiles) {
  auto one = std::pair("/capsem/bin/one", digest(one_.body));
  auto data = std::pair("/capsem/data/x", digest("data"));
  auto init = std::pair("/init", digest(elf_head(EM_X86_64)));
  for (const auto& sums :
       std::vector<manifest::Sums>{{one, data},
                                   {one, data, init, {"/capsem/more", digest("data")}},
                                   {{one.first, digest("other")}, data, init}}) {
    listed_ = manifest::encode_sums(sums);
    build();
    EXPECT_THAT(problems(), ElementsAre(HasSubstr("/capsem/SHA256SUMS does not hold the hashes")));
  }
}

TEST_F(VerifyGuest, NamesAListOfHashesThatCouldBeChanged) {
  sums_.mode = cpio::kRegular | 0644;
  build();
  EXPECT_THAT(problems(),
              ElementsAre(HasSubstr("SHA256SUMS: it is not a file of root with mode 0444")));
}

std::string elf(std::uint16_t machine, std::uint32_t segment_type) {
  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_machine = machine;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{.p_type = segment_type};
  std::string file(reinterpret_cast<const char*>(&header), sizeof header);
  return file + std::string(reinterpret_cast<const char*>(&segment), sizeof segment);
}

TEST_F(VerifyGuest, NamesAProgramThatTheGuestCannotRun) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {elf(EM_X86_64, PT_LOAD), ""},
      {elf(EM_X86_64, PT_INTERP), "it is not static"},
      {elf(EM_AARCH64, PT_LOAD), "not built for x86_64"},
      {elf(EM_X86_64, PT_LOAD).substr(0, 70), "program headers"},
      {elf(EM_X86_64, PT_LOAD).substr(0, 10), "cut short"},
      {"text", "neither an ELF file nor a script"},
  };
  for (const auto& [body, problem] : cases) {
    one_.body = body;
    build();
    if (problem.empty())
      EXPECT_THAT(problems(), IsEmpty());
    else
      EXPECT_THAT(problems(), ElementsAre(AllOf(HasSubstr("bin/one"), HasSubstr(problem))));
  }
}

TEST_F(VerifyGuest, NamesTheSegmentThatIsNotTheIndexedOne) {
  build();
  image_[image_.find("data/x") + 5] = 'y';
  EXPECT_THAT(problems(),
              AllOf(Contains(HasSubstr("the image does not match the hash")),
                    Contains(HasSubstr("the segment one at byte")),
                    Not(Contains(HasSubstr("the segment base"))),
                    Contains(HasSubstr("/capsem/data/x is in the index and not in the image"))));
}

TEST_F(VerifyGuest, ComparesHashesBehindDamageToo) {
  build();
  image_[0] = 'x';
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("neither an archive nor"),
                                      HasSubstr("the image does not match the hash"),
                                      HasSubstr("the segment base at byte 0")));
}

TEST_F(VerifyGuest, NoticesAFileThatIsNotTheIndexedOne) {
  build();
  index_.entries.at(0).files.at(0).sha256 = {};
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("/capsem/data/x is not the one in the index")));
}

TEST_F(VerifyGuest, NoticesWhatIsCutOffOrAppended) {
  build();
  image_ += RawArchive().add({.path = "extra"}).trailer().bytes();
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("the image does not match the hash")));
}

TEST_F(VerifyGuest, NoticesASegmentThatTheIndexMakesUp) {
  build();
  auto& segment = index_.segments.at(1);
  segment.offset += 4;
  segment.bytes -= 4;
  segment.sha256 = digest(std::string_view(image_).substr(segment.offset));
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("in the index and not in the image")));
}

}  // namespace
}  // namespace capsem::initrd
