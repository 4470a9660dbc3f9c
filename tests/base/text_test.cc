#include "base/text.h"

#include <gtest/gtest.h>

namespace capsem {
namespace {

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
}

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[2Jb\r\n"), "a\\x1b[2Jb\\x0d\\x0a");
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");  // CSI as a C1 control character
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f\t\xff"), "gr\xc3\xbc\xc3\x9f\t\\xff");
}

TEST(Printable, FollowsTable3_7OfUnicode) {
  // Each row of the table, from its first character to its last, and what lies just outside it.
  for (const char* good :
       {"\xc2\xa1", "\xdf\xbf", "\xe0\xa0\x80", "\xe0\xbf\xbf", "\xe1\x80\x80", "\xec\xbf\xbf",
        "\xed\x80\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf0\x90\x80\x80",
        "\xf0\xbf\xbf\xbf", "\xf1\x80\x80\x80", "\xf3\xbf\xbf\xbf", "\xf4\x80\x80\x80",
        "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
    EXPECT_EQ(printable(good), good);
  }
  for (std::string_view bad : {"\x80",
                               "\xbf",
                               "\xc0\x80",
                               "\xc0\xaf",
                               "\xc1\xbf",
                               "\xc2\x7f",
                               "\xc2\xc0",
                               "\xe0\x80\x80",
                               "\xe0\x9f\xbf",
                               "\xe0\xa0\x7f",
                               "\xe0\xa0\xc0",
                               "\xed\xa0\x80",
                               "\xed\xbf\xbf",
                               "\xf0\x80\x80\x80",
                               "\xf0\x8f\xbf\xbf",
                               "\xf4\x90\x80\x80",
                               "\xf5\x80\x80\x80",
                               "\xff",
                               "\xc2",
                               "\xe1\x80",
                               "\xf1\x80\x80"}) {
    EXPECT_FALSE(is_utf8(bad)) << printable(bad);
    std::string escaped;
    for (char byte : bad)
      if (byte == '\x7f' || static_cast<unsigned char>(byte) >= 0x80)
        escaped += "\\x" + hex(std::as_bytes(std::span(&byte, 1)));
    EXPECT_EQ(printable(bad), escaped);
  }
}

TEST(Printable, GoesOnBehindABrokenCharacter) {
  EXPECT_EQ(printable("\xe1\x80"
                      "a\xc3\xbc"),
            "\\xe1\\x80"
            "a\xc3\xbc");
}

TEST(Printable, EscapesWhatIsInvisibleOrTurnsTheText) {
  struct Row {
    const char* first;
    const char* last;
    const char* before;
    const char* after;
  };
  constexpr Row kRows[] = {
      {"\x7f", "\xc2\x9f", "~", "\xc2\xa0"},                             // delete, C1
      {"\xc2\xad", "\xc2\xad", "\xc2\xac", "\xc2\xae"},                  // soft hyphen
      {"\xd8\x9c", "\xd8\x9c", "\xd8\x9b", "\xd8\x9d"},                  // U+061C
      {"\xe2\x80\x8b", "\xe2\x80\x8f", "\xe2\x80\x8a", "\xe2\x80\x90"},  // U+200B to U+200F
      {"\xe2\x80\xa8", "\xe2\x80\xae", "\xe2\x80\xa7", "\xe2\x80\xaf"},  // U+2028 to U+202E
      {"\xe2\x81\xa0", "\xe2\x81\xaf", "\xe2\x81\x9f", "\xe2\x81\xb0"},  // U+2060 to U+206F
      {"\xef\xbb\xbf", "\xef\xbb\xbf", "\xef\xbb\xbe", "\xef\xbc\x80"},  // U+FEFF
      {"\xf3\xa0\x80\x80", "\xf3\xa0\x81\xbf", "\xf3\x9f\xbf\xbf", "\xf3\xa0\x82\x80"},  // tags
  };
  for (const auto& row : kRows) {
    for (std::string_view hidden : {row.first, row.last}) {
      EXPECT_EQ(printable(hidden).size(), hidden.size() * 4) << printable(hidden);
      EXPECT_TRUE(is_utf8(hidden));
    }
    EXPECT_EQ(printable(row.before), row.before);
    EXPECT_EQ(printable(row.after), row.after);
  }
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");
}

TEST(Octal, KeepsThePermissionBitsOnly) {
  EXPECT_EQ(octal(0100555), "0555");
  EXPECT_EQ(octal(04755), "4755");
}

TEST(HumanSize, PicksTheUnit) {
  EXPECT_EQ(human_size(999), "999 B");
  EXPECT_EQ(human_size(1400), "1.4 KB");
  EXPECT_EQ(human_size(2300000), "2.3 MB");
  EXPECT_EQ(human_size(110000000), "110 MB");
}

}  // namespace
}  // namespace capsem
