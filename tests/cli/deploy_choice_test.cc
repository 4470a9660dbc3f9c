// What of guest.toml a running guest is sent.
#include "cli/vm/deploy_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "manifest/table.h"
#include "tests/temporary_directory.h"

namespace capsem::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct DeployChoiceTest : ::testing::Test {
  void SetUp() override {
    for (const char* name : {"capsem-init", "one", "two"}) {
      manifest::Entry entry;
      entry.name = name;
      entry.build = name;
      entry.path = name == std::string("capsem-init") ? "/init" : "/capsem/bin/" + entry.name;
      entry.mode = entry.is_init() ? 0755 : 0555;
      entry.in_initrd = true;
      list.entries.push_back(entry);
      write(name, name);
    }
    state.entries = deployed();
    state.table = manifest::encode_table(list);
  }

  void write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(write_file_atomically(directory / name, content));
  }

  prepare::GuestFiles files() const {
    return prepare::hash_guest_files(list, {.root = directory.path(), .programs = directory.path()})
        .value();
  }

  // As a guest that got all of it would say.
  std::vector<DeployedEntry> deployed() const {
    std::vector<DeployedEntry> entries;
    entries.reserve(list.entries.size());
    for (const auto& entry : list.entries)
      entries.push_back({entry.name, Origin::kInitrd, files().sums.at(entry.path)});
    return entries;
  }

  DeployChoice choose() const {
    auto choice = choose_deploy(list, files(), state);
    EXPECT_TRUE(choice) << choice.error().message();
    return choice ? std::move(*choice) : DeployChoice{};
  }

  testing::TemporaryDirectory directory;
  manifest::Manifest list;
  wire::DeployState state;
};

TEST_F(DeployChoiceTest, NothingWhenTheGuestHasAllOfIt) {
  auto choice = choose();
  EXPECT_FALSE(choice.order);
  EXPECT_THAT(choice.unchanged, ElementsAre("capsem-init", "one", "two"));
}

TEST_F(DeployChoiceTest, WhatDiffersIsSentWithTheWholeTableAndAllHashes) {
  write("two", "new");
  auto choice = choose();
  ASSERT_TRUE(choice.order);
  EXPECT_THAT(choice.changed, ElementsAre("two"));
  ASSERT_EQ(choice.order->items.size(), 1U);
  EXPECT_THAT(choice.order->items.front().paths, ElementsAre("/capsem/bin/two"));
  EXPECT_EQ(choice.order->items.front().mode, 0555U);
  EXPECT_EQ(choice.order->set.table, state.table);
  EXPECT_EQ(choice.order->set.sums, manifest::encode_sums(files().sums));
}

TEST_F(DeployChoiceTest, TheNamesOfOneFileAreSentOnce) {
  write("one", "both");
  std::filesystem::remove(directory / "two");
  std::filesystem::create_hard_link(directory / "one", directory / "two");
  auto choice = choose();
  ASSERT_TRUE(choice.order);
  ASSERT_EQ(choice.order->items.size(), 1U);
  EXPECT_THAT(choice.order->items.front().paths, ElementsAre("/capsem/bin/one", "/capsem/bin/two"));
}

TEST_F(DeployChoiceTest, TheInitIsForTheNextBoot) {
  write("capsem-init", "new");
  auto choice = choose();
  EXPECT_FALSE(choice.order);
  EXPECT_THAT(choice.next_boot, ElementsAre("capsem-init"));
}

TEST_F(DeployChoiceTest, WhatLiesInTheRootfsOnlyIsNotSent) {
  list.entries.at(1).in_initrd = false;
  list.entries.at(1).in_rootfs = true;
  state.table = manifest::encode_table(list);
  write("one", "new");
  auto choice = choose();
  EXPECT_FALSE(choice.order);
  EXPECT_THAT(choice.new_rootfs, ElementsAre("one"));
}

TEST_F(DeployChoiceTest, OtherSettingsAreSentWithoutAnItem) {
  list.entries.at(2).service = manifest::Service{.arguments = {"-v"}};
  auto choice = choose();
  ASSERT_TRUE(choice.order);
  EXPECT_THAT(choice.order->items, IsEmpty());
  EXPECT_THAT(choice.changed, ElementsAre("two"));
}

TEST_F(DeployChoiceTest, AnEntryThatMovedIsSentAndOneThatIsGoneRemoved) {
  list.entries.at(2).path = "/capsem/bin/three";
  list.entries.erase(list.entries.begin() + 1);
  auto choice = choose();
  ASSERT_TRUE(choice.order);
  ASSERT_EQ(choice.order->items.size(), 1U);
  EXPECT_THAT(choice.order->items.front().paths, ElementsAre("/capsem/bin/three"));
  EXPECT_THAT(choice.removed, ElementsAre("one"));
}

TEST_F(DeployChoiceTest, ATableThatIsNoneIsRefused) {
  state.table = "x";
  EXPECT_FALSE(choose_deploy(list, files(), state));
}

}  // namespace
}  // namespace capsem::cli
