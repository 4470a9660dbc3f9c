#include <fcntl.h>
#include <unistd.h>

#include <fstream>

#include "assets/open.h"
#include "initrd/pack.h"
#include "tests/cli/doctor/host_fixture.h"
#include "tests/path_variable.h"

namespace capsem::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::PathVariable;

struct HostGuest : HostFixture {
  void pack() const {
    auto packed = initrd::pack_guest(manifest::load(layout_.guest_toml).value(), layout_.sources,
                                     nullptr, {.target = layout_.image, .cache = layout_.cache});
    ASSERT_TRUE(packed) << packed.error().message();
  }

  // Changes one byte of a file in its place.
  static void flip(const fs::path& path, int offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(offset);
    file.put(byte);
    ASSERT_TRUE(file.good());
  }
};

TEST_F(HostGuest, AGuestTomlThatIsRefusedIsAProblemAndWhatNeedsItIsLeftOut) {
  put(layout_.guest_toml, "version = 7\n");
  expect("guest.toml", Health::kProblem, "guest.toml", "write version = 1");
  for (const auto& result : run_host_checks(host())) EXPECT_STRNE(result.name, "guest programs");
}

TEST_F(HostGuest, ProgramsThatAreMissingWithNothingToBuildAreAProblem) {
  fs::remove(layout_.sources.programs / "tool");
  expect("guest programs", Health::kProblem, "tool", "./dev build");
}

TEST_F(HostGuest, AnEmptyProgramIsNone) {
  put(layout_.sources.programs / "tool", "");
  expect("guest programs", Health::kProblem, "tool", "./dev build");
}

TEST_F(HostGuest, StaleProgramsAreAWarningAndAreNotBuilt) {
  put(layout_.build / "build.ninja",
      "rule touch\n  command = touch $out\n  description = making $out\nbuild made: touch\nbuild "
      "guest: phony made\n");
  expect("guest programs", Health::kWarning, "making made", "'capsem run' builds them");
  EXPECT_FALSE(fs::exists(layout_.build / "made"));
}

TEST_F(HostGuest, ABuildThatIsNotConfiguredIsAProblem) {
  fs::remove(layout_.build / "build.ninja");
  expect("guest programs", Health::kProblem, "ninja", "./dev build");
}

TEST_F(HostGuest, AnInstallationWithoutAProgramIsAProblem) {
  layout_.checkout = false;
  expect("guest programs", Health::kOk, "all there");
  fs::remove(layout_.sources.programs / "tool");
  expect("guest programs", Health::kProblem, "tool", "cmake --install");
}

TEST_F(HostGuest, EachDamagedAssetIsNamed) {
  expect("assets", Health::kOk, "3 files");
  flip(layout_.assets / assets::kRootfsName, 3);
  expect("assets", Health::kProblem, assets::kRootfsName, "build-assets");
  fs::remove(layout_.assets / assets::kModulesName);
  put(layout_.assets / assets::kKernelName, "another size");
  auto seen = look("assets").seen;
  for (const char* name : {assets::kRootfsName, assets::kModulesName, assets::kKernelName})
    EXPECT_THAT(seen, HasSubstr(name));
}

TEST_F(HostGuest, AssetsThatWereNeverBuiltAreAProblem) {
  fs::remove(layout_.assets / assets::kIndexName);
  expect("assets", Health::kProblem, "never built", "build-assets");
}

TEST_F(HostGuest, OnlyADeepLookReadsWhatLooksUnchanged) {
  // A file with a past, whose times nobody doubts.
  auto path = layout_.assets / assets::kKernelName;
  timespec long_ago[] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), long_ago, 0), 0);
  for (const char* name : {assets::kKernelName, assets::kModulesName, assets::kRootfsName}) {
    struct stat status{};
    ASSERT_EQ(::stat((layout_.assets / name).c_str(), &status), 0);
    while (!is_settled(identity_of(status), file_clock_ns())) ::usleep(1000);
  }
  ASSERT_TRUE(assets::open_assets(layout_.assets, layout_.cache));
  auto quick = look("assets").seen;
  deep_ = true;
  expect("assets", Health::kOk, "(3 read in ");
  EXPECT_THAT(quick, ::testing::Not(HasSubstr("(3 read in ")));
}

TEST_F(HostGuest, LookingAtAssetsWritesNothing) {
  look("assets");
  EXPECT_TRUE(fs::is_empty(layout_.cache));
}

TEST_F(HostGuest, ARootfsOlderThanItsInputsIsAWarningThatNamesThem) {
  expect("rootfs inputs", Health::kOk, "as new as");
  put(layout_.config / "packages.list", "one\ntwo\n");
  put(layout_.config / "modules.boot", "another\n");
  expect("rootfs inputs", Health::kWarning, "guest/config/modules.boot changed and 1 more",
         "build-assets");
}

TEST_F(HostGuest, MissingToolsMatterOnlyWhenTheAssetsHaveToBeBuilt) {
  PathVariable empty(directory_ / "nowhere");
  expect("build-assets tools", Health::kOk, "mmdebstrap");
  put(layout_.config / "packages.list", "another\n");
  expect("build-assets tools", Health::kProblem, "sqfstar", "apt-get install mmdebstrap");
  publish_assets();
  fs::remove(layout_.assets / assets::kRootfsName);
  expect("build-assets tools", Health::kProblem, "mmdebstrap", "apt-get install mmdebstrap");
}

TEST_F(HostGuest, AnImageThatIsNotThereYetIsAWarning) {
  expect("initrd", Health::kWarning, "initrd.img", "'capsem run' packs it");
  pack();
  expect("initrd", Health::kOk, "as guest.toml and its index say");
  fs::remove(layout_.assets / "initrd.json");
  expect("initrd", Health::kWarning, "index", "'capsem run' packs it");
}

TEST_F(HostGuest, ADamagedImageIsAProblem) {
  pack();
  flip(layout_.image, 40);
  expect("initrd", Health::kProblem, "SHA-256", "repack");
}

TEST_F(HostGuest, AnImageOfAnotherGuestTomlIsAWarning) {
  pack();
  auto text = read_file(layout_.guest_toml, 1 << 16).value();
  put(layout_.guest_toml, text + R"(
[[entry]]
name = "second"
build = "second"
path = "/capsem/bin/second"
mode = "0555"
into = ["initrd"]
)");
  expect("initrd", Health::kWarning, "second is missing", "packs it anew");
}

}  // namespace
}  // namespace capsem::cli
