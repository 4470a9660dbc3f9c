// Which services a deploy concerns.
#include "guest/init/service_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"

namespace capsem::guest::init {
namespace {

using ::testing::IsEmpty;

struct ServiceChanges : ::testing::Test {
  void SetUp() override {
    for (const char* name : {"agent", "proxy"}) {
      manifest::Entry entry;
      entry.name = name;
      entry.path = "/capsem/bin/" + entry.name;
      entry.service = manifest::Service{.listen = {5001}};
      manifest.entries.push_back(entry);
      entries.push_back({name, Origin::kInitrd, sha256(as_bytes(name))});
    }
    next = manifest;
    next_entries = entries;
  }

  std::vector<std::string> concerned() const {
    std::vector<std::string> all;
    constexpr const char* kNames[] = {"replaced", "changed", "new", "gone"};
    for (const auto& service : concerned_services({manifest, entries}, {next, next_entries}))
      all.push_back(service.name + " " + kNames[static_cast<int>(service.change)] +
                    (service.listens_elsewhere ? " elsewhere" : ""));
    return all;
  }

  manifest::Manifest manifest;
  std::vector<DeployedEntry> entries;
  manifest::Manifest next;
  std::vector<DeployedEntry> next_entries;
};

using ::testing::ElementsAre;

TEST_F(ServiceChanges, NoneWhenNothingChanged) {
  EXPECT_THAT(concerned(), IsEmpty());
}

TEST_F(ServiceChanges, ThatOfAnotherProgram) {
  next_entries.at(1).sha256 = sha256(as_bytes("x"));
  EXPECT_THAT(concerned(), ElementsAre("proxy replaced"));
}

TEST_F(ServiceChanges, ThatOfOtherSettings) {
  next.entries.at(0).service->arguments = {"-v"};
  next.entries.at(1).service->listen = {5001, 6000};
  EXPECT_THAT(concerned(), ElementsAre("agent changed", "proxy changed elsewhere"));
}

TEST_F(ServiceChanges, ThoseThatComeAndGo) {
  next.entries.at(0).name = "other";
  next_entries.at(0).name = "other";
  next.entries.at(1).service.reset();
  EXPECT_THAT(concerned(), ElementsAre("agent gone", "proxy gone", "other new elsewhere"));
}

TEST_F(ServiceChanges, OneThatIsAbsentIsNone) {
  next_entries.at(0) = {"agent", Origin::kAbsent};
  EXPECT_THAT(concerned(), ElementsAre("agent gone"));
}

}  // namespace
}  // namespace capsem::guest::init
