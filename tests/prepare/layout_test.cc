#include "prepare/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/file.h"
#include "base/user_directories.h"
#include "tests/temporary_directory.h"

namespace capsem::prepare {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kCache = "/home/someone/.cache/capsem";

void put(const fs::path& path, std::string_view content) {
  ASSERT_TRUE(make_directories(path.parent_path()));
  ASSERT_TRUE(write_file_atomically(path, content));
}

struct LayoutAround : ::testing::Test {
  Result<Layout> find() const { return layout_around(executable, kCache); }

  capsem::testing::TemporaryDirectory directory;
  fs::path executable = directory / "usr/bin/capsem";
  fs::path checkout_file = directory / "usr/bin/checkout.json";
  fs::path installed = directory / "usr/lib/capsem";
};

TEST_F(LayoutAround, ACheckoutIsWhereTheFileBesideTheExecutableSays) {
  put(checkout_file, R"({"source": "/src/capsem", "build": "/src/capsem/build/dev"})");
  auto layout = find();
  ASSERT_TRUE(layout) << layout.error().message();
  EXPECT_TRUE(layout->checkout);
  EXPECT_EQ(layout->build, "/src/capsem/build/dev");
  EXPECT_EQ(layout->guest_toml, "/src/capsem/guest.toml");
  EXPECT_EQ(layout->config, "/src/capsem/guest/config");
  EXPECT_EQ(layout->sources.root, "/src/capsem");
  EXPECT_EQ(layout->sources.programs, "/src/capsem/build/dev/guest");
  EXPECT_EQ(layout->assets, "/src/capsem/assets/x86_64");
  EXPECT_EQ(layout->image, "/src/capsem/assets/x86_64/initrd.img");
  EXPECT_EQ(layout->cache, kCache);
}

TEST_F(LayoutAround, AnInstallationKeepsItsFilesInLibAndItsImageInTheCache) {
  put(installed / "guest.toml", "");
  auto layout = find();
  ASSERT_TRUE(layout) << layout.error().message();
  EXPECT_FALSE(layout->checkout);
  EXPECT_EQ(layout->build, "");
  EXPECT_EQ(layout->guest_toml, installed / "guest.toml");
  EXPECT_EQ(layout->config, installed / "guest/config");
  EXPECT_EQ(layout->sources.root, installed);
  EXPECT_EQ(layout->sources.programs, installed / "programs");
  EXPECT_EQ(layout->assets, installed / "assets/x86_64");
  EXPECT_THAT(layout->image.string(), StartsWith(std::string(kCache) + "/initrd/"));
  EXPECT_EQ(layout->image.filename(), "initrd.img");
  EXPECT_EQ(layout->cache, kCache);
}

TEST_F(LayoutAround, AHelperFindsTheInstallationItLiesIn) {
  put(installed / "guest.toml", "");
  auto of_capsem = find();
  auto of_helper = layout_around(installed / "capsem-build-assets", kCache);
  ASSERT_TRUE(of_capsem && of_helper);
  EXPECT_EQ(of_helper->guest_toml, of_capsem->guest_toml);
  EXPECT_EQ(of_helper->assets, of_capsem->assets);
  EXPECT_EQ(of_helper->image, of_capsem->image);
}

TEST_F(LayoutAround, TwoInstallationsDoNotShareAnImage) {
  put(installed / "guest.toml", "");
  put(directory / "opt/lib/capsem/guest.toml", "");
  auto one = find();
  auto other = layout_around(directory / "opt/bin/capsem", kCache);
  ASSERT_TRUE(one && other);
  EXPECT_NE(one->image, other->image);
  EXPECT_EQ(find()->image, one->image);
}

TEST_F(LayoutAround, ACheckoutGoesBeforeAnInstallation) {
  put(checkout_file, R"({"source": "/src", "build": "/build"})");
  put(installed / "guest.toml", "");
  auto layout = find();
  ASSERT_TRUE(layout) << layout.error().message();
  EXPECT_TRUE(layout->checkout);
}

TEST_F(LayoutAround, WithNeitherTheErrorSaysWhatWasLookedForAndWhatToDo) {
  auto layout = find();
  ASSERT_FALSE(layout);
  EXPECT_EQ(layout.error().kind(), ErrorKind::kNotFound);
  EXPECT_EQ(layout.error().message(),
            "cannot find the guest's files: there is neither " + checkout_file.string() + " nor " +
                installed.string() +
                "; run capsem from its build folder or install it with 'cmake --install'");
}

TEST_F(LayoutAround, ABrokenCheckoutFileIsRefusedWithAdvice) {
  put(installed / "guest.toml", "");
  for (const char* text :
       {"", "{", "[]", "\"source\"", "{}", R"({"source": "/src"})", R"({"build": "/build"})",
        R"({"source": 1, "build": "/build"})", R"({"source": "/src", "build": null})",
        "{\"source\": \"\xff\", \"build\": \"/build\"}"}) {
    put(checkout_file, text);
    auto layout = find();
    ASSERT_FALSE(layout) << text;
    EXPECT_EQ(layout.error().kind(), ErrorKind::kInvalid) << text;
    EXPECT_EQ(layout.error().message(),
              "cannot read " + checkout_file.string() +
                  ": it does not say where source and build are; configure the build again");
  }
}

TEST_F(LayoutAround, ACheckoutFileThatCannotBeReadIsNotTakenForAbsent) {
  put(installed / "guest.toml", "");
  put(checkout_file, std::string(1 << 17, ' '));
  auto layout = find();
  ASSERT_FALSE(layout);
  EXPECT_THAT(layout.error().message(), HasSubstr(checkout_file.string()));
}

// Sets a variable, or with nullptr none, and puts back what was there.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = ::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) {
    if (value != nullptr)
      ::setenv(name_, value, 1);
    else
      ::unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> before_;
};

TEST(CacheDirectory, IsWhereTheVariablesSay) {
  Variable home("HOME", "/home/someone");
  Variable cache("XDG_CACHE_HOME", "/var/cache");
  EXPECT_EQ(cache_directory().value(), "/var/cache/capsem");
  Variable none("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(cache_directory().value(), "/home/someone/.cache/capsem");
}

TEST(CacheDirectory, WithoutVariablesIsInTheHomeOfThePasswordDatabase) {
  Variable home("HOME", nullptr);
  Variable cache("XDG_CACHE_HOME", nullptr);
  const passwd* user = ::getpwuid(::getuid());
  if (user == nullptr) GTEST_SKIP() << "this user is in no password database";
  auto expected = fs::path(user->pw_dir) / ".cache/capsem";
  auto found = cache_directory();
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(*found, expected);
  Variable relative("HOME", "here");
  EXPECT_EQ(cache_directory().value(), expected);
}

}  // namespace
}  // namespace capsem::prepare
