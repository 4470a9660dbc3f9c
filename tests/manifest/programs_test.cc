#include "manifest/programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/directory.h"
#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::manifest {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Programs : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_file_atomically(executables_.init, "the init", 0755));
    ASSERT_TRUE(write_file_atomically(executables_.programs, "all others", 0755));
    add("capsem-init", "init", "/init");
    add("tool", "my-tool", "/capsem/bin/called");
    add("other", "other", "/capsem/bin/other");
    manifest_.entries.push_back({.name = "data", .file = "data", .path = "/capsem/data"});
  }

  void add(const std::string& name, const std::string& build, const std::string& path) {
    manifest_.entries.push_back({.name = name, .build = build, .path = path, .line = 7});
  }

  std::string content(const std::string& name) {
    return read_file(placed_ / name, 1 << 10).value_or("none");
  }

  testing::TemporaryDirectory directory_;
  Executables executables_{directory_ / "one", directory_ / "two"};
  fs::path placed_ = directory_ / "guest";
  Manifest manifest_{.file = "guest.toml", .entries = {}};
};

TEST_F(Programs, TableHasEachUnderTheNameItIsCalledBy) {
  auto table = program_table(manifest_, {"my-tool", "other", "unlisted"});
  ASSERT_TRUE(table) << table.error().message();
  EXPECT_THAT(*table, AllOf(HasSubstr("{\"called\", capsem::guest::my_tool::run},"),
                            HasSubstr("{\"other\", capsem::guest::other::run},"),
                            HasSubstr("namespace capsem::guest::my_tool { int run(int argc"),
                            Not(HasSubstr("unlisted")), Not(HasSubstr("init"))));
}

TEST_F(Programs, TableDeclaresAFolderOnce) {
  add("alias", "other", "/capsem/bin/alias");
  auto table = program_table(manifest_, {"my-tool", "other"}).value();
  auto declaration = table.find("namespace capsem::guest::other {");
  EXPECT_NE(declaration, std::string::npos);
  EXPECT_EQ(table.find("namespace capsem::guest::other {", declaration + 1), std::string::npos);
}

TEST_F(Programs, TableNamesTheLineOfAnUnknownFolder) {
  auto table = program_table(manifest_, {"other"});
  ASSERT_FALSE(table);
  EXPECT_THAT(table.error().message(), AllOf(HasSubstr("guest.toml:7"), HasSubstr("my-tool")));
}

TEST_F(Programs, PlacesWhatIsListedAndNothingElse) {
  ASSERT_TRUE(make_directories(placed_ / "left/behind"));
  ASSERT_TRUE(write_file_atomically(placed_ / "data", "no program"));
  ASSERT_TRUE(place_programs(manifest_, executables_, placed_));
  EXPECT_THAT(names_in(placed_).value(), ElementsAre("capsem-init", "other", "tool"));
  EXPECT_EQ(content("capsem-init"), "the init");
  EXPECT_EQ(content("tool"), "all others");
  EXPECT_TRUE(fs::equivalent(placed_ / "tool", placed_ / "other"));
  manifest_.entries.erase(manifest_.entries.begin() + 1);
  ASSERT_TRUE(write_file_atomically(executables_.programs, "built anew", 0755));
  ASSERT_TRUE(place_programs(manifest_, executables_, placed_));
  EXPECT_THAT(names_in(placed_).value(), ElementsAre("capsem-init", "other"));
  EXPECT_EQ(content("other"), "built anew");
}

TEST_F(Programs, MissingExecutableIsAnError) {
  fs::remove(executables_.init);
  auto placed = place_programs(manifest_, executables_, placed_);
  ASSERT_FALSE(placed);
  EXPECT_THAT(placed.error().message(), HasSubstr("capsem-init"));
}

}  // namespace
}  // namespace capsem::manifest
