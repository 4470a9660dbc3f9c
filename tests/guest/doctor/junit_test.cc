#include <gtest/gtest.h>

#include "guest/doctor/report.h"

namespace capsem::guest::doctor {
namespace {

constexpr const char* kReplacement = "\xef\xbf\xbd";

TEST(JUnit, HasASuiteForEachGroupAndACaseForEachCheck) {
  Report report;
  report.add({"boot", "kernel", "6", expect(true, "6.1"), std::chrono::milliseconds(250)});
  report.add({"boot", "panic", "-1", expect(false, "0")});
  report.add({"terminal", "size", "", skip("no terminal")});
  report.add({"net", "port 5002", "", absent("not yet")});
  EXPECT_EQ(junit_of(report),
            R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="capsem-doctor" tests="4" failures="1" errors="0" skipped="2">
 <testsuite name="boot" tests="2" failures="1" errors="0" skipped="0" time="0.250000">
  <testcase classname="capsem-doctor.boot" name="kernel" time="0.250000"></testcase>
  <testcase classname="capsem-doctor.boot" name="panic" time="0.000000"><failure message="0">expected: -1</failure></testcase>
 </testsuite>
 <testsuite name="terminal" tests="1" failures="0" errors="0" skipped="1" time="0.000000">
  <testcase classname="capsem-doctor.terminal" name="size" time="0.000000"><skipped message="no terminal"/></testcase>
 </testsuite>
 <testsuite name="net" tests="1" failures="0" errors="0" skipped="1" time="0.000000">
  <testcase classname="capsem-doctor.net" name="port 5002" time="0.000000"><skipped message="absent: not yet"/></testcase>
 </testsuite>
</testsuites>
)");
}

TEST(JUnit, OfNothingIsAnEmptyListOfSuites) {
  EXPECT_EQ(junit_of({}),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites name=\"capsem-doctor\" tests=\"0\" failures=\"0\" errors=\"0\" "
            "skipped=\"0\">\n</testsuites>\n");
}

TEST(JUnit, NoTextBreaksOutOfItsPlace) {
  Report report;
  report.add({"g", "\"/><x", "</failure>", expect(false, "a & b\"><y/>]]>")});
  auto text = junit_of(report);
  EXPECT_NE(text.find("name=\"&quot;/&gt;&lt;x\""), std::string::npos) << text;
  EXPECT_NE(text.find("message=\"a &amp; b&quot;&gt;&lt;y/&gt;]]&gt;\""), std::string::npos);
  EXPECT_NE(text.find("expected: &lt;/failure&gt;"), std::string::npos);
}

std::string replaced(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += kReplacement;
  return text;
}

TEST(XmlEscaped, KeepsCharactersOfAnyLength) {
  for (std::string text : {"az", "\xc3\xa4", "\xef\xbf\xbd", "\xf0\x9f\x98\x80"})
    EXPECT_EQ(xml_escaped(text), text);
}

TEST(XmlEscaped, ReplacesEachByteOfWhatIsNoCharacterOfXml) {
  EXPECT_EQ(xml_escaped("a\x01z"), "a" + replaced(1) + "z");
  EXPECT_EQ(xml_escaped("a\x1bz"), "a" + replaced(1) + "z");
  EXPECT_EQ(xml_escaped("\xef\xbf\xbe"), replaced(3));  // U+FFFE
  EXPECT_EQ(xml_escaped("\xef\xbf\xbf"), replaced(3));  // U+FFFF
}

TEST(XmlEscaped, ReplacesEachByteThatIsNoUtf8) {
  EXPECT_EQ(xml_escaped("\xff"), replaced(1));
  EXPECT_EQ(xml_escaped("\xc3"), replaced(1));  // cut short
  EXPECT_EQ(xml_escaped("\xc3z"), replaced(1) + "z");
  EXPECT_EQ(xml_escaped("\xc0\xaf"), replaced(2));          // overlong
  EXPECT_EQ(xml_escaped("\xe0\x80\xaf"), replaced(3));      // overlong
  EXPECT_EQ(xml_escaped("\xed\xa0\x80"), replaced(3));      // a surrogate
  EXPECT_EQ(xml_escaped("\xf4\x90\x80\x80"), replaced(4));  // beyond Unicode
  EXPECT_EQ(xml_escaped(std::string_view("\0", 1)), replaced(1));
}

TEST(XmlEscaped, KeepsLineEndsAndTabsOfAttributes) {
  EXPECT_EQ(xml_escaped("a\tb\nc\rd"), "a&#9;b&#10;c&#13;d");
}

}  // namespace
}  // namespace capsem::guest::doctor
