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
