// The user of a session: who it is by the files below the session's root, and what a command of it
// may do.
#include "guest/pty-agent/user.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/guest/pty-agent/host_peer.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::pty_agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct UserLookUp : ::testing::Test {
  void SetUp() override { std::filesystem::create_directories(directory / "etc"); }

  void write(const char* name, std::string_view content) {
    ASSERT_TRUE(write_file_atomically(directory / name, content));
  }

  Result<User> look_up(std::string_view asked) {
    auto root = open_file(directory.path(), O_PATH | O_DIRECTORY);
    return look_up_user(*root, asked);
  }

  std::string error_of(std::string_view asked) {
    auto user = look_up(asked);
    return user ? "" : user.error().message();
  }

  void write_both() {
    write("etc/passwd",
          "root:x:0:0::/root:/bin/bash\n"
          "bob:x:1000:1000::/home/bob:/bin/zsh\n"
          "bare:x:1001:1001:::\n");
    write("etc/group", "bob:x:1000:\nusers:x:100:ann,bob\n");
  }

  capsem::testing::TemporaryDirectory directory;
};

TEST_F(UserLookUp, TakesAllOfTheEntries) {
  write_both();
  for (const char* asked : {"bob", "1000"}) {
    auto user = look_up(asked);
    ASSERT_TRUE(user) << user.error().message();
    EXPECT_EQ(user->name, "bob");
    EXPECT_EQ(user->home, "/home/bob");
    EXPECT_EQ(user->shell, "/bin/zsh");
    ASSERT_TRUE(user->credentials);
    EXPECT_EQ(user->credentials->uid, 1000U);
    EXPECT_EQ(user->credentials->gid, 1000U);
    EXPECT_THAT(user->credentials->groups, ElementsAre(1000, 100));
  }
}

TEST_F(UserLookUp, AGroupThatIsAskedForIsTheOnlyOne) {
  write_both();
  for (const char* asked : {"bob:users", "bob:100", "1000:users"}) {
    auto user = look_up(asked);
    ASSERT_TRUE(user) << user.error().message();
    EXPECT_EQ(user->credentials->uid, 1000U);
    EXPECT_EQ(user->credentials->gid, 100U);
    EXPECT_THAT(user->credentials->groups, ElementsAre(100));
  }
}

TEST_F(UserLookUp, ANumberWithAGroupNeedsNoEntryAndNoFile) {
  auto user = look_up("4711:4712");
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->name, "4711");
  EXPECT_EQ(user->home, "/");
  EXPECT_EQ(user->shell, "/bin/sh");
  EXPECT_EQ(user->credentials->uid, 4711U);
  EXPECT_EQ(user->credentials->gid, 4712U);
}

TEST_F(UserLookUp, AnEntryWithoutHomeAndShellHasTheUsualOnes) {
  write_both();
  EXPECT_EQ(look_up("bare")->home, "/");
  EXPECT_EQ(look_up("bare")->shell, "/bin/sh");
}

TEST_F(UserLookUp, SaysWhatIsNotThere) {
  write_both();
  EXPECT_EQ(error_of("eve"), "cannot find the user eve: the guest's /etc/passwd does not have it");
  EXPECT_EQ(error_of("bob:staff"),
            "cannot find the group staff: the guest's /etc/group does not have it");
  EXPECT_EQ(error_of("4711"),
            "cannot find the group of user 4711: the guest's /etc/passwd does not have that user; "
            "say 4711:GROUP for one without an entry");
  EXPECT_EQ(error_of("4294967295:0"),
            "cannot find the user 4294967295: the guest's /etc/passwd does not have it");
}

TEST_F(UserLookUp, ReadsNothingThatIsNoFileOrTooLarge) {
  write_both();
  write("etc/group", std::string((1 << 20) + 1, '\n'));
  EXPECT_EQ(error_of("bob"), "cannot read /etc/group: it is larger than 1048576 bytes");
  std::filesystem::remove(directory / "etc/passwd");
  ASSERT_EQ(::mkfifo((directory / "etc/passwd").c_str(), 0644), 0);
  EXPECT_EQ(error_of("bob"), "cannot read /etc/passwd: it is no regular file");
}

TEST_F(UserLookUp, FollowsNoLinkOutOfTheRoot) {
  std::filesystem::create_symlink("/etc/passwd", directory / "etc/passwd");
  EXPECT_THAT(error_of("root"), HasSubstr("/etc/passwd"));
}

TEST(SessionUser, AnUnknownOneIsRefusedInWords) {
  HostPeer host;
  host.send(wire::SessionStart{.command_line = "true", .user = "no-such-user"});
  EXPECT_EQ(host.wait_for<wire::Failed>(),
            (wire::Failed{126,
                          "cannot find the user no-such-user: the guest's /etc/passwd does not "
                          "have it"}));
}

std::string output_of(const wire::SessionStart& start) {
  HostPeer host;
  host.send(start);
  std::string text;
  while (auto message = host.receive()) {
    if (auto* out = std::get_if<wire::Stdout>(&*message)) text += out->data;
    if (auto* err = std::get_if<wire::Stderr>(&*message)) text += err->data;
    if (auto* failed = std::get_if<wire::Failed>(&*message)) text += failed->text;
  }
  return text;
}

struct SessionOfUser : ::testing::Test {
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  }
};

TEST_F(SessionOfUser, IsThatUserWithoutCapabilities) {
  EXPECT_EQ(
      output_of({.command_line = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME $SHELL; pwd; "
                                 "grep -E 'Cap(Prm|Eff|Inh|Amb)' /proc/self/status",
                 .user = "4711:4712"}),
      "4711\n4712\n4712\n/ 4711 4711 /bin/sh\n/\n"
      "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
      "CapAmb:\t0000000000000000\n");
}

TEST_F(SessionOfUser, CanOpenItsStreamsByTheirNames) {
  EXPECT_EQ(output_of({.command_line = "echo out >/dev/stdout; echo err >/dev/stderr",
                       .user = "4711:4712"}),
            "out\nerr\n");
  EXPECT_EQ(output_of({.command_line = "stat -c %u $(tty); echo name >$(tty); echo tty >/dev/tty",
                       .terminal = wire::TerminalSize{24, 80, 0, 0},
                       .user = "4711:4712"}),
            "4711\r\nname\r\ntty\r\n");
}

TEST_F(SessionOfUser, EntersADirectoryWithItsOwnRights) {
  capsem::testing::TemporaryDirectory directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 0700), 0);
  wire::SessionStart start{.command_line = "pwd", .directory = directory.path()};
  EXPECT_EQ(output_of(start), directory.path().string() + "\n");
  start.user = "4711:4712";
  EXPECT_EQ(output_of(start), "cannot enter the directory " + directory.path().string() +
                                  " in the guest: Permission denied");
}

}  // namespace
}  // namespace capsem::guest::pty_agent
