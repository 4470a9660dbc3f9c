#include "client/screen_modes.h"

#include <gtest/gtest.h>

#include "base/fd.h"

namespace capsem::client {
namespace {

std::string restored(const ScreenState& state) {
  std::array<char, kMaxRestoreBytes> buffer{};
  return {buffer.data(), restore_sequence(state, buffer)};
}

// What puts right a terminal that has shown `output`.
std::string after(std::string_view output) {
  ScreenModes modes;
  modes.read(as_bytes(output));
  return restored(modes.state());
}

TEST(ScreenModes, WhatWasLeftOnIsTurnedOff) {
  struct Case {
    const char* output;
    const char* undone_by;
  };
  for (const auto& [output, undone_by] : std::vector<Case>{
           {"\x1b[?1049h", "\x1b[?1049l"},
           {"\x1b[?47h", "\x1b[?47l"},
           {"\x1b[?1000h", "\x1b[?1000l"},
           {"\x1b[?1002h\x1b[?1006h", "\x1b[?1002l\x1b[?1006l"},
           {"\x1b[?1003;1006h", "\x1b[?1003l\x1b[?1006l"},
           {"\x1b[?1004h", "\x1b[?1004l"},
           {"\x1b[?2004h$ ", "\x1b[?2004l"},
           {"\x1b[?25l", "\x1b[?25h"},
           {"\x1b[?7l", "\x1b[?7h"},
           {"\x1b[?1h\x1b=", "\x1b>\x1b[?1l"},
           {"\x1b[4h", "\x1b[4l"},
           {"\x1b[2 q", "\x1b[0 q"},
           {"\x1b[>4;2m", "\x1b[>4m"},
           {"\x1b[1;31mred", "\x1b[0m"},
           {"\x1b[38;5;0m black", "\x1b[0m"},
           {"\x1b[38:2::0:0:0m black", "\x1b[0m"},
           {"\x1b(0lqk", "\x1b(B\x0f"},
           {"\x0e", "\x1b(B\x0f"},
           {"\x1b[>1u", "\x1b[<99u"},
           {"\x1b[5;10r",
            "\x1b"
            "7\x1b[r\x1b"
            "8"},
           {"\x1b]0;a title without an end", "\x18"},
           {"\x1b[?10", "\x18"},
           {"\x1b]0;title\x1b[?25l", "\x1b[?25h"},
       })
    EXPECT_EQ(after(output), undone_by) << output + 1;
}

TEST(ScreenModes, NothingIsSentWhereNothingWasLeftOn) {
  for (const char* output : {
           "plain text\r\n",
           "\x1b[?1049h\x1b[?25l\x1b[?2004h text \x1b[?2004l\x1b[?25h\x1b[?1049l",
           "\x1b[?1000;1006h\x1b[?1006;1000l",
           "\x1b[?25h",
           "\x1b[?7h",
           "\x1b[1;31mred\x1b[0m",
           "\x1b[31mred\x1b[m",
           "\x1b[1;31;44mred\x1b[22;39;49m",
           "\x1b[38;5;3mcolour\x1b[39m",
           "\x1b[38;2;1;2;3mcolour\x1b[0m",
           "\x1b(B\x1b[m",
           "\x0eqqq\x0f",
           "\x1b=\x1b[?1h\x1b[?1l\x1b>",
           "\x1b[>1u\x1b[>3u\x1b[<2u",
           "\x1b[5;10r\x1b[r",
           "\x1b[?1049h\x1b[31m\x1b[?25l\x1b"
           "c",
           "\x1b]0;a title\x07",
           "\x1b]8;;http://x/?1049h\x1b\\link",
           "\x1bPq[?1049h\x1b\\",
           "[?1049h without its ESC",
           "\xc3\xa9\xe2\x9c\x93 and \x9b?1049h in UTF-8",
       })
    EXPECT_EQ(after(output), "") << output;
}

TEST(ScreenModes, SequencesMayArriveInAnyPieces) {
  const std::string output = "\x1b[?1049h\x1b[?1003;1006h\x1b]0;t\x07\x1b[1;31m\x1b(B\x1b[>1u";
  ScreenModes whole;
  whole.read(as_bytes(output));
  ScreenModes pieces;
  for (char each : output) pieces.read(as_bytes(std::string_view(&each, 1)));
  EXPECT_EQ(pieces.state(), whole.state());
  EXPECT_NE(restored(whole.state()), "");
}

TEST(ScreenModes, HostileSequencesStayWithinTheirBounds) {
  std::string output = "\x1b[?";
  for (int i = 0; i < 10'000; ++i) output += "99999999999999999999;";
  EXPECT_EQ(after(output + "h"), "");
  output.clear();
  for (int i = 0; i < 100'000; ++i) output += "\x1b[>1u";
  EXPECT_EQ(after(output), "\x1b[<99u");
  EXPECT_EQ(after(output + "\x1b[<4000000000u"), "");
}

TEST(ScreenModes, EveryModeAtOnceFitsIntoTheBuffer) {
  ScreenState all{.modes = ~0U, .keyboard_depth = 1, .in_sequence = true};
  EXPECT_TRUE(restored(all).ends_with("\x1b[?1049l"));
}

TEST(ScreenModes, OfTwoStatesThatMayHoldBothArePutRight) {
  ScreenModes on;
  on.read(as_bytes(std::string_view("\x1b[?1049h")));
  EXPECT_EQ(restored(on.state() | ScreenState{}), "\x1b[?1049l");
  EXPECT_EQ(restored(ScreenState{} | on.state()), "\x1b[?1049l");
}

}  // namespace
}  // namespace capsem::client
