#include "assets/rootfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "assets/squashfs.h"
#include "assets/tar.h"
#include "base/file.h"
#include "base/process.h"
#include "tests/path_variable.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

class Rootfs : public ::testing::Test {
 protected:
  void SetUp() override {
    auto packages = TarWriter::create().value();
    ASSERT_TRUE(packages.add_directory("etc", 0755));
    ASSERT_TRUE(packages.add_file("etc/hostname", "host of the build", 0600));
    ASSERT_TRUE(packages.add_file("etc/passwd", "root", 0644));
    ASSERT_TRUE(packages.add_directory("root", 0700));
    ASSERT_TRUE(packages.finish());
    ASSERT_TRUE(write_file_atomically(directory_ / "tree.tar", packages.take()));
    write("config/rootfs/etc/hostname", "capsem");
    write("config/rootfs/etc/new/settings", "x");
    write("config/rootfs/root/.bashrc", "x");
    write("programs/tool", "program");
    fs::permissions(directory_ / "programs/tool", fs::perms::owner_all);
    guest_.manifest.entries = {{.name = "tool",
                                .build = "tool",
                                .path = "/capsem/bin/tool",
                                .mode = 0555,
                                .in_initrd = true,
                                .in_rootfs = true},
                               {.name = "initrd-only",
                                .build = "missing",
                                .path = "/capsem/bin/missing",
                                .mode = 0555,
                                .in_initrd = true}};
  }

  void write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(make_directories((directory_ / path).parent_path()));
    ASSERT_TRUE(write_file_atomically(directory_ / path, content));
  }

  Result<> make(const std::string& name) {
    auto signals = Signals().hold();
    if (!signals) return propagate(signals);
    return make_rootfs({.tree = directory_ / "tree.tar", .made_at = 1}, guest_, directory_ / name,
                       *signals);
  }

  testing::TemporaryDirectory directory_;
  Guest guest_{.config = directory_ / "config",
               .manifest = {.file = "guest.toml"},
               .sources = {directory_.path(), directory_ / "programs"}};
};

TEST_F(Rootfs, HoldsPackagesConfigurationAndEntries) {
  auto made = make("a.squashfs");
  ASSERT_TRUE(made) << made.error().message();
  auto files = list_squashfs(directory_ / "a.squashfs").value();
  EXPECT_EQ(files.at("/etc/passwd").mode, 0644u);
  EXPECT_EQ(files.at("/etc/hostname").mode, 0644u);
  EXPECT_EQ(files.at("/etc/new/settings").mode, 0644u);
  EXPECT_EQ(files.at("/root").mode, 0700u) << "a directory of the packages keeps its mode";
  EXPECT_EQ(files.at("/capsem/bin").mode, 0755u);
  EXPECT_EQ(files.at("/capsem/bin/tool").mode, 0555u) << "the policy's mode, not the source's";
  EXPECT_FALSE(files.contains("/capsem/bin/missing"));
  for (const auto& [path, file] : files) EXPECT_EQ(file.uid + file.gid, 0u) << path;
}

// All of these names have been damaged by sqfstar on the way through one tar format or another.
TEST_F(Rootfs, LongAndForeignNamesOfPackagesStayWhole) {
  auto deep = std::string(120, 'd') + "/" + std::string(120, 'f');
  auto target = "/" + std::string(130, 't');
  auto packages = TarWriter::create().value();
  ASSERT_TRUE(packages.add_file("./" + deep, "", 0644));
  ASSERT_TRUE(packages.add_symlink("./long", target));
  ASSERT_TRUE(packages.add_symlink("./tan\u00fas", "/tan\u00fas\u00edtv\u00e1ny"));
  ASSERT_TRUE(packages.finish());
  ASSERT_TRUE(write_file_atomically(directory_ / "tree.tar", packages.take()));
  auto made = make("a.squashfs");
  ASSERT_TRUE(made) << made.error().message();
  auto listed = run_for_output({.argv = {"unsquashfs", "-lln", directory_ / "a.squashfs"}});
  ASSERT_TRUE(listed) << listed.error().message();
  for (const auto& line : {"/" + deep + "\n", "/long -> " + target + "\n",
                           std::string("/tan\u00fas -> /tan\u00fas\u00edtv\u00e1ny\n")})
    EXPECT_THAT(*listed, ::testing::HasSubstr(line));
}

TEST_F(Rootfs, ListsTheHashesOfItsEntries) {
  ASSERT_TRUE(make("a.squashfs"));
  auto list = run_for_output(
      {.argv = {"unsquashfs", "-cat", directory_ / "a.squashfs", "capsem/SHA256SUMS"}});
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(*list, sha256(as_bytes("program")).hex() + "  /capsem/bin/tool\n");
  EXPECT_EQ(list_squashfs(directory_ / "a.squashfs").value().at("/capsem/SHA256SUMS").mode, 0444u);
}

// Whatever the tool that writes the image makes of a mode, the image is looked at.
TEST_F(Rootfs, AModeThatIsNotThePolicysInTheFinishedImageIsRefused) {
  struct Case {
    const char* changed;
    const char* error;
  };
  const char* set = ::getenv("PATH");
  ASSERT_NE(set, nullptr);
  const std::string path = set;
  for (const auto& [changed, error] :
       {Case{"capsem/bin/tool m 0775 0 0",
             "cannot accept a.squashfs:/capsem/bin/tool: its mode is 0775, the policy says 0555"},
        Case{
            "capsem/bin/tool m 0555 1000 0",
            "cannot accept a.squashfs:/capsem/bin/tool: it belongs to 1000:0, the policy says 0:0"},
        Case{"capsem/SHA256SUMS m 0644 0 0",
             "SHA256SUMS does not belong to root with mode 0444"}}) {
    write("bin/sqfstar", "#!/bin/sh -e\nPATH=" + path +
                             "\nsqfstar \"$@\"\n"
                             "for image; do :; done\n"
                             "unsquashfs -dest $image.d $image\n"
                             "mksquashfs $image.d $image -noappend -root-mode 0755 -p '" +
                             changed + "'\n");
    fs::permissions(directory_ / "bin/sqfstar", fs::perms::owner_all);
    auto made = [&] {
      const testing::PathVariable with_tool((directory_ / "bin").string() + ":" + path);
      return make("a.squashfs");
    }();
    ASSERT_FALSE(made) << changed;
    EXPECT_THAT(made.error().message(), ::testing::HasSubstr(error));
    for (const char* left : {"a.squashfs", "a.squashfs.d"}) fs::remove_all(directory_ / left);
  }
}

TEST_F(Rootfs, OurFileReplacesThePackagesOwn) {
  ASSERT_TRUE(make("a.squashfs"));
  auto content =
      run_for_output({.argv = {"unsquashfs", "-cat", directory_ / "a.squashfs", "etc/hostname"}});
  ASSERT_TRUE(content) << content.error().message();
  EXPECT_EQ(*content, "capsem");
}

TEST_F(Rootfs, SameInputGivesTheSameBytes) {
  ASSERT_TRUE(make("a.squashfs"));
  // Times of our files, and the creation of the image itself, must not show.
  fs::last_write_time(directory_ / "config/rootfs/etc/hostname", fs::file_time_type::min());
  auto first = read_file(directory_ / "a.squashfs", 1 << 20).value();
  timespec start{};
  ::clock_gettime(CLOCK_REALTIME, &start);
  for (timespec now = start; now.tv_sec == start.tv_sec; ::clock_gettime(CLOCK_REALTIME, &now)) {
  }
  ASSERT_TRUE(make("b.squashfs"));
  EXPECT_TRUE(first == read_file(directory_ / "b.squashfs", 1 << 20).value());
}

TEST_F(Rootfs, DamagedTreeIsAnError) {
  auto whole = fs::file_size(directory_ / "tree.tar");
  for (auto size : {whole - 1024, std::uintmax_t{1000}}) {
    fs::resize_file(directory_ / "tree.tar", size);
    auto made = make("a.squashfs");
    ASSERT_FALSE(made) << size;
    EXPECT_EQ(made.error().kind(), ErrorKind::kDamaged);
    EXPECT_THAT(made.error().message(), ::testing::HasSubstr("tree.tar")) << size;
  }
}

}  // namespace
}  // namespace capsem::assets
