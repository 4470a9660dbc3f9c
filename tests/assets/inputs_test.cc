#include "assets/inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Inputs : public ::testing::Test {
 protected:
  void SetUp() override {
    write("config/packages.list", "git\n");
    write("config/modules.boot", "virtio_blk\n");
    write("config/modules.rootfs", "fs\n");
    write("config/rootfs/etc/hostname", "capsem\n");
    write("programs/both", "1");
    write("programs/only", "1");
    add_entry("both", true);
    add_entry("only", false);
    built_ = {.inputs = collect_inputs(guest_).value()};
  }

  void write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(make_directories((directory_ / path).parent_path()));
    ASSERT_TRUE(write_file_atomically(directory_ / path, content));
  }

  void add_entry(const std::string& name, bool in_initrd) {
    guest_.manifest.entries.push_back({.name = name,
                                       .build = name,
                                       .path = "/capsem/bin/" + name,
                                       .mode = 0555,
                                       .in_initrd = in_initrd,
                                       .in_rootfs = true});
  }

  std::vector<std::string> stale() { return stale_inputs(built_, guest_).value(); }

  testing::TemporaryDirectory directory_;
  Guest guest_{.config = directory_ / "config",
               .manifest = {.file = "guest.toml"},
               .sources = {directory_.path(), directory_ / "programs"}};
  Index built_;
};

TEST_F(Inputs, NothingIsStaleWhenNothingChanged) {
  EXPECT_THAT(stale(), IsEmpty());
}

TEST_F(Inputs, NamesWhatChangedCameAndWent) {
  write("config/packages.list", "git\ncurl\n");
  write("config/rootfs/etc/profile.d/x.sh", "");
  fs::remove(directory_ / "config/rootfs/etc/hostname");
  EXPECT_THAT(stale(), ElementsAre("guest/config/packages.list changed",
                                   "guest/config/rootfs/etc/hostname is gone",
                                   "guest/config/rootfs/etc/profile.d/x.sh is new"));
}

TEST_F(Inputs, ExecutableBitCounts) {
  fs::permissions(directory_ / "config/rootfs/etc/hostname", fs::perms::owner_exec,
                  fs::perm_options::add);
  EXPECT_THAT(stale(), ElementsAre("guest/config/rootfs/etc/hostname changed"));
}

TEST_F(Inputs, ContentCountsOnlyWhereTheInitrdDoesNotCarryIt) {
  write("programs/both", "2");
  EXPECT_THAT(stale(), IsEmpty());
  write("programs/only", "2");
  EXPECT_THAT(stale(), ElementsAre("guest.toml: only changed"));
}

TEST_F(Inputs, PathAndModeOfAnEntryCount) {
  guest_.manifest.entries[0].path = "/capsem/bin/moved";
  guest_.manifest.entries[1].mode = 0444;
  EXPECT_THAT(stale(), ElementsAre("guest.toml: both changed", "guest.toml: only changed"));
}

TEST_F(Inputs, EntriesComeAndGo) {
  guest_.manifest.entries.pop_back();
  EXPECT_THAT(stale(), ElementsAre("guest.toml: only is gone"));
}

}  // namespace
}  // namespace capsem::assets
