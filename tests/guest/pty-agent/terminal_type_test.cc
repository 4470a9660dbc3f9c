// Which terminal type a session gets, by the terminfo that it finds below its root directory.
#include "guest/pty-agent/terminal_type.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::pty_agent {
namespace {

struct TerminalType : ::testing::Test {
  void add(const std::string& entry) {
    auto path = directory / entry;
    std::filesystem::create_directories(path.parent_path());
    ASSERT_TRUE(write_file_atomically(path, "compiled", 0644));
  }

  std::string known(std::string_view asked, const std::string& home = "/root") {
    auto root = open_file(directory.path(), O_PATH | O_DIRECTORY);
    return known_terminal_type(*root, home, asked);
  }

  capsem::testing::TemporaryDirectory directory;
};

TEST_F(TerminalType, StaysWhereTheGuestHasAnEntryForIt) {
  add("etc/terminfo/f/foot");
  add("lib/terminfo/v/vt100");
  add("usr/share/terminfo/x/xterm-kitty");
  add("usr/share/terminfo/61/alacritty");
  add("root/.terminfo/w/wezterm");
  for (const char* type : {"foot", "vt100", "xterm-kitty", "alacritty", "wezterm"})
    EXPECT_EQ(known(type), type);
}

TEST_F(TerminalType, IsLookedForInTheHomeOfTheUserAlone) {
  add("root/.terminfo/w/wezterm");
  add("home/bob/.terminfo/f/foot");
  EXPECT_EQ(known("foot", "/home/bob"), "foot");
  EXPECT_EQ(known("wezterm", "/home/bob"), kCommonTerminalType);
}

TEST_F(TerminalType, IsTheCommonOneWhereTheGuestDoesNotKnowIt) {
  add("lib/terminfo/x/xterm");
  add("lib/terminfo/x/xterm-256color");
  for (const char* type : {"xterm-kitty", "xterm-ghostty", "foot", "alacritty", "wezterm", ""})
    EXPECT_EQ(known(type), "xterm-256color") << type;
}

TEST_F(TerminalType, IsNoPath) {
  add("etc/passwd");
  add("lib/terminfo/x/xterm/inner");
  add("lib/terminfo/./.hidden");
  add("lib/terminfo/2e/.hidden");
  const std::string longest(128, 'a');
  const std::string too_long(129, 'a');
  add("lib/terminfo/a/" + longest);
  add("lib/terminfo/a/" + too_long);
  for (const char* type : {"../../../etc/passwd", "xterm/inner", ".hidden", ".", "/etc/passwd"})
    EXPECT_EQ(known(type), kCommonTerminalType) << type;
  EXPECT_EQ(known(longest), longest);
  EXPECT_EQ(known(too_long), kCommonTerminalType);
}

TEST_F(TerminalType, IsLookedForBelowTheSessionsRootWhateverLinksThereSay) {
  add("usr/lib/terminfo/x/xterm-kitty");
  std::filesystem::create_symlink("/usr/lib", directory / "lib");
  EXPECT_EQ(known("xterm-kitty"), "xterm-kitty");
  capsem::testing::TemporaryDirectory elsewhere;
  ASSERT_TRUE(write_file_atomically(elsewhere / "foot", "compiled", 0644));
  std::filesystem::create_directories(directory / "etc/terminfo/f");
  std::filesystem::create_symlink(elsewhere / "foot", directory / "etc/terminfo/f/foot");
  EXPECT_EQ(known("foot"), kCommonTerminalType);
}

TEST_F(TerminalType, DoesNotWaitForWhatIsNoFile) {
  std::filesystem::create_directories(directory / "etc/terminfo/f");
  ASSERT_EQ(::mkfifo((directory / "etc/terminfo/f/foot").c_str(), 0644), 0);
  EXPECT_EQ(known("foot"), kCommonTerminalType);
}

}  // namespace
}  // namespace capsem::guest::pty_agent
