#include "assets/config_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assets/inputs.h"
#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ConfigList : public ::testing::Test {
 protected:
  Result<std::vector<std::string>> read(const std::string& text, const ItemRule& rule) {
    auto path = directory_ / "a.list";
    if (auto written = write_file_atomically(path, text); !written) return propagate(written);
    return read_list(path, rule);
  }

  std::string error_of(const std::string& text, const ItemRule& rule) {
    auto items = read(text, rule);
    return items ? "accepted" : items.error().message();
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(ConfigList, LinesAreThoseWithoutComments) {
  EXPECT_THAT(list_lines("# all\n\n a \nb # why\n#c\n"), ElementsAre("a", "b"));
}

TEST_F(ConfigList, TakesNamesAsDebianHasThem) {
  EXPECT_THAT(read("git\r\n\ng++ # C++\nlibx11-6\n7zip\nlibstdc++6\n", kPackageName).value(),
              ElementsAre("git", "g++", "libx11-6", "7zip", "libstdc++6"));
}

TEST_F(ConfigList, RefusesWhatIsNoPackageNameWithFileAndLine) {
  for (const std::string line :
       {"git curl", "git,curl", "git=1:2", "git/bookworm", "git:amd64", "Git", "-y", "--purge",
        "git-", "a", "$(id)", "g\x01t", "g\xfft", "git\tcurl", "./x.deb", "?essential", "~i"})
    EXPECT_THAT(error_of("# list\nvim\n" + line + "\n", kPackageName),
                AllOf(HasSubstr("a.list:3: "), HasSubstr("is not the name of a Debian package"),
                      HasSubstr("write one name a line")))
        << line;
  EXPECT_THAT(error_of(std::string("g\0t", 3), kPackageName), HasSubstr("a.list:1: "));
}

TEST_F(ConfigList, ModulesAreNamesAndPatternsStayBelowTheirFolder) {
  EXPECT_EQ(error_of("virtio_blk\nsnd-hda\n", kModuleName), "accepted");
  EXPECT_EQ(error_of("drivers/md/dm-*.ko\nlib\n", kModulePattern), "accepted");
  for (const std::string line : {"virtio_blk ext4", "drivers/ext4.ko", "-a"})
    EXPECT_THAT(error_of(line, kModuleName), HasSubstr("a.list:1: ")) << line;
  for (const std::string line : {"fs lib", "../../../etc", "/etc", "fs/", "a$b", "a'b"})
    EXPECT_THAT(error_of(line, kModulePattern), HasSubstr("a.list:1: ")) << line;
}

TEST_F(ConfigList, TheRepositorysOwnListsAreValid) {
  auto config = std::filesystem::path(CAPSEM_SOURCE_DIRECTORY) / "guest/config";
  EXPECT_TRUE(read_list(config / kPackagesList, kPackageName));
  EXPECT_TRUE(read_list(config / kBootModulesList, kModuleName));
  EXPECT_TRUE(read_list(config / kRootfsModulesList, kModulePattern));
}

}  // namespace
}  // namespace capsem::assets
