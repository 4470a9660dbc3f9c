#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "guest/doctor/report.h"

namespace capsem::guest::doctor {
namespace {

using nlohmann::json;

json parsed(const Report& report) {
  auto text = json_of(report);
  EXPECT_TRUE(text.ends_with("}\n"));
  return json::parse(text);
}

TEST(Json, HasTheCountsAndEachCheckInItsOrder) {
  Report report;
  report.add({"boot", "kernel", "6", expect(true, "6.1"), std::chrono::milliseconds(250)});
  report.add({"binaries", "x", "0555", expect(false, "0755")});
  report.add({"terminal", "size", "", skip("none")});
  report.add({"net", "port", "", absent("not yet")});
  report.processor_time = std::chrono::milliseconds(1500);
  EXPECT_EQ(parsed(report), json::parse(R"({
    "version": 1, "passed": 1, "failed": 1, "skipped": 1, "absent": 1, "processor_seconds": 1.5,
    "checks": [
      {"group": "boot", "name": "kernel", "expected": "6", "seen": "6.1", "verdict": "pass",
       "seconds": 0.25},
      {"group": "binaries", "name": "x", "expected": "0555", "seen": "0755", "verdict": "fail",
       "seconds": 0.0},
      {"group": "terminal", "name": "size", "expected": "", "seen": "none", "verdict": "skip",
       "seconds": 0.0},
      {"group": "net", "name": "port", "expected": "", "seen": "not yet", "verdict": "absent",
       "seconds": 0.0}]})"));
}

TEST(Json, OfNothingHasAnEmptyListOfChecks) {
  EXPECT_EQ(parsed({}).at("checks"), json::array());
}

TEST(Json, IsReadableWhateverAGuestWrites) {
  std::string every_byte;
  for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
  Report report;
  // Overlong, a surrogate, beyond Unicode: printable() lets some of that through.
  for (std::string text : {every_byte, std::string("\xe0\x80\x80"), std::string("\xed\xa0\x80"),
                           std::string("\xf4\x90\x80\x80"), std::string("\"},{\"verdict\":\"pass")})
    report.add({text, text, text, expect(false, text)});
  auto whole = parsed(report);
  EXPECT_EQ(whole.at("failed"), 5);
  EXPECT_EQ(whole.at("checks").size(), 5U);
  EXPECT_EQ(whole.at("checks").at(4).at("seen"), "\"},{\"verdict\":\"pass");
}

}  // namespace
}  // namespace capsem::guest::doctor
