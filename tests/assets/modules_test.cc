#include "assets/modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assets/module_segment.h"
#include "base/file.h"
#include "codec/codec.h"
#include "tests/assets/elf_builder.h"
#include "tests/temporary_directory.h"

namespace capsem::assets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Modules : public ::testing::Test {
 protected:
  void add(const std::string& name, const std::string& depends) {
    std::string info = "license=GPL" + std::string(1, '\0') + "depends=" + depends +
                       std::string(1, '\0') + "name=" + name + std::string(1, '\0');
    auto directory = tree() / "kernel/drivers";
    ASSERT_TRUE(make_directories(directory));
    ASSERT_TRUE(write_file_atomically(directory / (name + ".ko"),
                                      testing::elf_with_section(".modinfo", info)));
  }

  Result<std::vector<std::string>> order(std::vector<std::string> wanted) {
    auto modules = ModuleTree::scan(tree());
    if (!modules) return propagate(modules);
    auto files = modules->load_order(wanted);
    if (!files) return propagate(files);
    std::vector<std::string> names;
    for (const auto& file : *files) names.push_back(file.stem());
    return names;
  }

  std::filesystem::path tree() const { return directory_.path(); }

  testing::TemporaryDirectory directory_;
};

TEST_F(Modules, EachComesAfterWhatItNeeds) {
  add("blk", "bus,ring");
  add("bus", "ring");
  add("ring", "");
  EXPECT_THAT(order({"blk"}).value(), ElementsAre("ring", "bus", "blk"));
}

TEST_F(Modules, EachComesOnce) {
  add("a", "base");
  add("b", "base");
  add("base", "");
  EXPECT_THAT(order({"a", "b", "a"}).value(), ElementsAre("base", "a", "b"));
}

TEST_F(Modules, DashAndUnderscoreAreTheSame) {
  add("virtio-thing", "");
  add("user", "virtio_thing");
  EXPECT_THAT(order({"user", "virtio-thing"}).value(), ElementsAre("virtio-thing", "user"));
}

TEST_F(Modules, BuiltInOnesAreLeftOut) {
  add("fs", "crc");
  ASSERT_TRUE(write_file_atomically(tree() / "modules.builtin", "kernel/lib/crc.ko\n"));
  EXPECT_THAT(order({"fs", "crc"}).value(), ElementsAre("fs"));
}

TEST_F(Modules, CircleIsAnErrorThatNamesIt) {
  add("a", "b");
  add("b", "a");
  auto result = order({"a"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::kInvalid);
  EXPECT_THAT(result.error().message(), HasSubstr("a -> b -> a"));
}

TEST_F(Modules, MissingOneIsNamedWithWhatNeedsIt) {
  add("a", "gone");
  auto result = order({"a"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind(), ErrorKind::kNotFound);
  EXPECT_THAT(result.error().message(), AllOf(HasSubstr("gone"), HasSubstr("a needs it")));
}

TEST_F(Modules, FileThatIsNoModuleIsDamaged) {
  ASSERT_TRUE(write_file_atomically(tree() / "a.ko", "text"));
  EXPECT_EQ(order({"a"}).error().kind(), ErrorKind::kDamaged);
  ASSERT_TRUE(write_file_atomically(tree() / "a.ko", testing::elf_with_section(".text", "")));
  EXPECT_EQ(order({"a"}).error().kind(), ErrorKind::kDamaged);
}

TEST_F(Modules, SectionOutsideOfTheFileIsDamaged) {
  auto elf = testing::elf_with_section(".modinfo", "depends=");
  for (std::size_t field : {24, 32}) {
    auto lying = elf;
    testing::put_number(lying, lying.size() - std::size_t{2} * 64 + field, ~0ULL, 8);
    ASSERT_TRUE(write_file_atomically(tree() / "a.ko", lying));
    EXPECT_EQ(order({"a"}).error().kind(), ErrorKind::kDamaged) << field;
  }
}

TEST_F(Modules, SegmentListsFilesInLoadOrder) {
  add("blk", "ring");
  add("ring", "");
  std::vector<std::string> wanted = {"blk"};
  auto segment = make_module_segment(tree(), wanted);
  ASSERT_TRUE(segment) << segment.error().message();
  std::string text(as_text(*segment));
  EXPECT_THAT(text, HasSubstr("ring.ko\nblk.ko\n"));
  EXPECT_THAT(text, HasSubstr("lib/modules/capsem/ring.ko"));
  EXPECT_EQ(codec::detect(*segment), codec::Codec::kNone);
}

}  // namespace
}  // namespace capsem::assets
