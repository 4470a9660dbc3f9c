// Entries for a guest that runs: received over a socket, and deployed with directories of the test
// in place of the guest's file systems.
#include "guest/init/deploy_update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "guest/init/deploy_receiver.h"
#include "manifest/table.h"
#include "tests/guest/init/become_root.h"
#include "tests/temporary_directory.h"
#include "wire/exact.h"

namespace capsem::guest::init {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

manifest::Entry program(const std::string& name) {
  manifest::Entry entry;
  entry.name = name;
  entry.build = name;
  entry.path = "/capsem/bin/" + name;
  entry.mode = 0555;
  entry.in_initrd = true;
  return entry;
}

manifest::Entry data(const std::string& name) {
  auto entry = program(name);
  entry.build.reset();
  entry.path = "/capsem/" + name;
  entry.mode = 0444;
  return entry;
}

// A guest with two programs and a directory of data, to which a host speaks over a socket.
struct DeployUpdate : ::testing::Test {
  void SetUp() override {
    if (!testing::become_root()) GTEST_SKIP() << "needs root or a user namespace";
    // A host that is refused writes to nobody.
    ::signal(SIGPIPE, SIG_IGN);
    table = {.file = "guest.toml", .entries = {program("one"), program("two"), data("data")}};
    for (const char* name : {"running/capsem/bin", "running/capsem/data", "items"})
      ASSERT_TRUE(make_directories(directory / name));
    put("/capsem/bin/one", "one", 0555);
    put("/capsem/bin/two", "two", 0555);
    put("/capsem/data/text", "text", 0444);
    ASSERT_EQ(::chmod((directory / "running/capsem/data").c_str(), 0555), 0);
    sums = running_sums;
    Deployment deployed{.sums = running_sums};
    for (const auto& entry : table.entries)
      deployed.entries.push_back(
          {entry.name, Origin::kInitrd, manifest::entry_hash(running_sums, entry.path)});
    ASSERT_TRUE(write_records(table, deployed, directory / "running/capsem"));
  }

  void put(const std::string& path, std::string_view content, mode_t mode) {
    auto file = directory / ("running" + path);
    ASSERT_TRUE(write_file_atomically(file, content));
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    running_sums[path] = sha256(as_bytes(content));
  }

  // What a host says after DeployStart, to its end.
  using Words = std::vector<wire::HostDeploy>;

  wire::DeploySet set() const {
    return {.table = manifest::encode_table(table), .sums = manifest::encode_sums(sums)};
  }
  static wire::DeployItem item(const std::string& path, std::string_view content,
                               std::uint32_t mode = 0555) {
    return {.paths = {path}, .mode = mode, .bytes = content.size()};
  }
  // A file of an entry, in place of the one that is there.
  Words with(const std::string& path, const std::string& content, std::uint32_t mode = 0555) {
    sums[path] = sha256(as_bytes(content));
    return {set(), item(path, content, mode), wire::DeployData{content}, wire::DeployEnd{}};
  }

  Result<Update> receive(const Words& words) {
    auto sockets = socket_pair();
    EXPECT_TRUE(sockets);
    std::thread host([&words, socket = std::move(sockets->first)] {
      EXPECT_TRUE(wire::write_message<wire::HostDeploy>(socket, wire::DeployStart{}, "the guest"));
      auto state = wire::read_message<wire::GuestDeploy>(socket, "the guest");
      EXPECT_TRUE(state && std::holds_alternative<wire::DeployState>(*state));
      for (const auto& word : words)
        if (!wire::write_message(socket, word, "the guest")) break;
    });
    auto update = receive_update(sockets->second, {}, directory / "items");
    sockets->second.reset();
    host.join();
    return update;
  }

  Result<Deployment> deploy(const Words& words) {
    auto update = receive(words);
    if (!update) return propagate(update);
    auto running = read_running_set(directory / "running");
    if (!running) return propagate(running);
    return deploy_update(*update, *running, directory / "target");
  }

  std::string error_of(const Words& words) {
    auto done = deploy(words);
    return done ? "" : done.error().message();
  }

  std::string content(const std::string& path) const {
    auto text = read_file(directory / path, 1 << 20);
    return text ? *text : text.error().message();
  }

  testing::TemporaryDirectory directory;
  manifest::Manifest table;
  manifest::Sums running_sums;
  manifest::Sums sums;
};

TEST_F(DeployUpdate, TakesWhatWasSentAndTheRestFromWhatRuns) {
  auto deployment = deploy(with("/capsem/bin/two", "new"));
  ASSERT_TRUE(deployment) << deployment.error().message();
  EXPECT_EQ(content("target/bin/one"), "one");
  EXPECT_EQ(content("target/bin/two"), "new");
  EXPECT_EQ(content("target/data/text"), "text");
  EXPECT_EQ(deployment->entries.at(1),
            (DeployedEntry{"two", Origin::kInitrd, sha256(as_bytes("new"))}));
  EXPECT_EQ(deployment->sums, sums);
  EXPECT_EQ(content("running/capsem/bin/two"), "two");
}

TEST_F(DeployUpdate, TakesTheNamesOfOneFileAsSuch) {
  sums["/capsem/bin/one"] = sums["/capsem/bin/two"] = sha256(as_bytes("both"));
  auto both = item("/capsem/bin/one", "both");
  both.paths.push_back("/capsem/bin/two");
  ASSERT_EQ(error_of({set(), both, wire::DeployData{"both"}, wire::DeployEnd{}}), "");
  struct stat one{};
  struct stat two{};
  ASSERT_EQ(::stat((directory / "target/bin/one").c_str(), &one), 0);
  ASSERT_EQ(::stat((directory / "target/bin/two").c_str(), &two), 0);
  EXPECT_EQ(one.st_ino, two.st_ino);
}

TEST_F(DeployUpdate, ADirectoryIsSentWhole) {
  sums.erase("/capsem/data/text");
  sums["/capsem/data/other"] = sha256(as_bytes("other"));
  ASSERT_EQ(
      error_of({set(), wire::DeployItem{.paths = {"/capsem/data"}, .mode = 0555, .directory = true},
                item("/capsem/data/other", "other", 0444), wire::DeployData{"other"},
                wire::DeployEnd{}}),
      "");
  EXPECT_EQ(content("target/data/other"), "other");
  EXPECT_FALSE(fs::exists(directory / "target/data/text"));
}

TEST_F(DeployUpdate, AnEntryThatIsGoneFromTheTableIsGone) {
  table.entries.erase(table.entries.begin());
  sums.erase("/capsem/bin/one");
  ASSERT_EQ(error_of({set(), wire::DeployEnd{}}), "");
  EXPECT_FALSE(fs::exists(directory / "target/bin/one"));
}

TEST_F(DeployUpdate, ContentOfAnotherHashIsRefused) {
  auto words = with("/capsem/bin/two", "new");
  words[2] = wire::DeployData{"bad"};
  EXPECT_THAT(error_of(words), HasSubstr("cannot deploy two: cannot accept /capsem/bin/two"));
  EXPECT_THAT(error_of(words), HasSubstr("cannot receive /capsem/bin/two"))
      << "it is there already";
}

TEST_F(DeployUpdate, AModeThatIsNotThePolicysIsRefused) {
  EXPECT_THAT(error_of(with("/capsem/bin/two", "new", 0755)),
              HasSubstr("its mode is 0755, the policy says 0555"));
}

TEST_F(DeployUpdate, WhatChangedAndWasNotSentIsRefused) {
  sums["/capsem/bin/two"] = sha256(as_bytes("new"));
  EXPECT_THAT(error_of({set(), wire::DeployEnd{}}),
              HasSubstr("cannot deploy two: cannot accept /capsem/bin/two"));
  sums.erase("/capsem/bin/two");
  EXPECT_THAT(error_of({set(), wire::DeployEnd{}}), HasSubstr("cannot deploy one"))
      << "the target is not empty";
}

TEST_F(DeployUpdate, AnItemThatIsNoEntryIsRefused) {
  for (const char* path : {"/capsem/bin/three", "/init", "/etc/passwd", "relative", "", "/",
                           "/capsem/bin/one/../../x", "/capsem/data/../bin/two", "/capsem/data//x"})
    EXPECT_THAT(error_of({set(), item(path, "x"), wire::DeployData{"x"}, wire::DeployEnd{}}),
                HasSubstr("it is no entry of the initrd"))
        << path;
  EXPECT_THAT(error_of({set(), wire::DeployItem{}, wire::DeployEnd{}}), HasSubstr("has no path"));
}

TEST_F(DeployUpdate, AnItemLargerOrSmallerThanItSaidIsRefused) {
  auto words = with("/capsem/bin/two", "new");
  words[2] = wire::DeployData{"newer"};
  EXPECT_THAT(error_of(words), HasSubstr("not as long as it was said to be"));
  fs::remove(directory / "items/capsem/bin/two");
  words[2] = wire::DeployData{"ne"};
  EXPECT_THAT(error_of(words), HasSubstr("the host did not send all of an item"));
  fs::remove(directory / "items/capsem/bin/two");
  words[2] = wire::DeployData{""};
  EXPECT_THAT(error_of(words), HasSubstr("not as long as it was said to be"));
  fs::remove(directory / "items/capsem/bin/two");
  words[1] =
      wire::DeployItem{.paths = {"/capsem/bin/two"}, .mode = 0555, .bytes = kMostItemBytes + 1};
  EXPECT_THAT(error_of(words), HasSubstr("the deploy is too large"));
}

TEST_F(DeployUpdate, AConnectionThatEndsBeforeTheEndChangesNothing) {
  auto words = with("/capsem/bin/two", "new");
  while (!words.empty()) {
    words.pop_back();
    auto update = receive(words);
    ASSERT_FALSE(update);
    EXPECT_EQ(update.error().kind(), ErrorKind::kClosed);
    fs::remove(directory / "items/capsem/bin/two");
  }
}

TEST_F(DeployUpdate, ATableThatPid1WouldNotTakeIsRefused) {
  auto refused = [&](auto change) {
    auto before = table;
    change(table.entries.at(1));
    auto error = error_of({set(), wire::DeployEnd{}});
    table = before;
    return error;
  };
  EXPECT_THAT(refused([](auto& entry) { entry.mode = 0775; }), HasSubstr("lets it be written"));
  EXPECT_THAT(refused([](auto& entry) { entry.path = "/etc/two"; }), HasSubstr("leads out of"));
  EXPECT_THAT(refused([](auto& entry) { entry.path = "/capsem/../etc/two"; }),
              HasSubstr("leads out of"));
  EXPECT_THAT(refused([](auto& entry) { entry.path = "/capsem/bin/one"; }), HasSubstr("is taken"));
  EXPECT_THAT(refused([](auto& entry) { entry.path = "/capsem/bin/one/x"; }),
              HasSubstr("is taken"));
  EXPECT_THAT(refused([](auto& entry) { entry.path = "/capsem/entries"; }), HasSubstr("is taken"));
  EXPECT_THAT(refused([](auto& entry) { entry.name = "one"; }), HasSubstr("is taken"));
  EXPECT_THAT(refused([](auto& entry) { entry.service = manifest::Service{.listen = {5009}}; }),
              HasSubstr("the port 5009 of two is taken"));
  EXPECT_THAT(error_of({wire::DeploySet{.table = "x\n"}, wire::DeployEnd{}}),
              HasSubstr("the first line"));
  EXPECT_THAT(error_of({wire::DeploySet{.table = manifest::encode_table(table), .sums = "x\n"}}),
              HasSubstr("is not a SHA-256"));
}

TEST_F(DeployUpdate, AnEntryOfTheRootfsStaysAsItIs) {
  table.entries.at(1).in_initrd = false;
  table.entries.at(1).in_rootfs = true;
  auto three = data("three");
  three.in_initrd = false;
  three.in_rootfs = true;
  table.entries.push_back(three);
  sums["/capsem/bin/two"] = sha256(as_bytes("what the host has"));
  auto deployment = deploy({set(), wire::DeployEnd{}});
  ASSERT_TRUE(deployment) << deployment.error().message();
  EXPECT_EQ(content("target/bin/two"), "two");
  EXPECT_EQ(deployment->entries.back(), (DeployedEntry{"three", Origin::kAbsent}));
}

TEST_F(DeployUpdate, AnotherVersionIsToldOurs) {
  auto sockets = socket_pair();
  ASSERT_TRUE(sockets);
  ASSERT_TRUE(wire::write_message<wire::HostDeploy>(
      sockets->first, wire::DeployStart{.protocol = wire::kProtocol + 1}, "the guest"));
  auto update = receive_update(sockets->second, {}, directory / "items");
  ASSERT_FALSE(update);
  auto answer = wire::read_message<wire::GuestDeploy>(sockets->first, "the guest");
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, wire::GuestDeploy(wire::VersionMismatch{wire::kProtocol}));
}

}  // namespace
}  // namespace capsem::guest::init
