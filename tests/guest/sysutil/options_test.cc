#include "guest/sysutil/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace capsem::guest::sysutil {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using wire::LifecycleAction;
using Words = std::vector<std::string_view>;

// 23:15:30
const tm kNow{.tm_sec = 30, .tm_min = 15, .tm_hour = 23};

struct Honoured {
  Words words;
  Command command;
};

constexpr auto kPoweroff = LifecycleAction::kPoweroff;
constexpr auto kReboot = LifecycleAction::kReboot;
constexpr auto kCancel = LifecycleAction::kCancel;
constexpr auto kShow = LifecycleAction::kShow;

TEST(Parse, TakesWhatPeopleType) {
  for (const auto& [words, command] : std::vector<Honoured>{
           {{"poweroff"}, {.action = kPoweroff}},
           {{"/capsem/bin/halt"}, {.action = kPoweroff}},
           {{"reboot"}, {.action = kReboot}},
           {{"suspend"}, {.action = LifecycleAction::kSuspend}},
           {{"capsem-sysutil", "shutdown"}, {.action = kPoweroff}},
           {{"capsem-sysutil", "reboot"}, {.action = kReboot}},
           {{"capsem-sysutil", "cancel"}, {.action = kCancel}},
           {{"capsem-sysutil", "--grace=3", "poweroff"},
            {.action = kPoweroff, .grace = seconds(3)}},
           {{"shutdown", "now"}, {.action = kPoweroff}},
           {{"shutdown", "-h", "now"}, {.action = kPoweroff}},
           {{"shutdown", "-hP", "now"}, {.action = kPoweroff}},
           {{"shutdown", "-H", "now"}, {.action = kPoweroff}},
           {{"shutdown", "--halt", "+0"}, {.action = kPoweroff}},
           {{"shutdown", "-r", "now"}, {.action = kReboot}},
           {{"shutdown", "now", "-r"}, {.action = kReboot}},
           {{"shutdown", "--reboot", "now"}, {.action = kReboot}},
           {{"shutdown"}, {.action = kPoweroff, .delay = minutes(1)}},
           {{"shutdown", "-r"}, {.action = kReboot, .delay = minutes(1)}},
           {{"shutdown", "+5"}, {.action = kPoweroff, .delay = minutes(5)}},
           {{"shutdown", "5"}, {.action = kPoweroff, .delay = minutes(5)}},
           {{"shutdown", "23:16"}, {.action = kPoweroff, .delay = seconds(30)}},
           {{"shutdown", "23:15"}, {.action = kPoweroff, .delay = hours(24) - seconds(30)}},
           {{"shutdown", "0:00"}, {.action = kPoweroff, .delay = minutes(44) + seconds(30)}},
           {{"shutdown", "+1", "back", "soon"},
            {.action = kPoweroff, .delay = minutes(1), .message = "back soon"}},
           {{"shutdown", "now", "--", "-r"}, {.action = kPoweroff, .message = "-r"}},
           {{"shutdown", "-c"}, {.action = kCancel}},
           {{"shutdown", "-c", "not", "yet"}, {.action = kCancel, .message = "not yet"}},
           {{"shutdown", "--show"}, {.action = kShow}},
           {{"shutdown", "-t", "5", "-h", "now"}, {.action = kPoweroff, .grace = seconds(5)}},
           {{"shutdown", "-ht5", "now"}, {.action = kPoweroff, .grace = seconds(5)}},
           {{"shutdown", "--grace", "0", "now"}, {.action = kPoweroff, .grace = seconds(0)}},
           {{"shutdown", "-f", "--no-wall", "now"}, {.action = kPoweroff}},
           {{"poweroff", "-f"}, {.action = kPoweroff, .ask_init = true}},
           {{"reboot", "--force"}, {.action = kReboot, .ask_init = true}},
           {{"reboot", "-f", "-f"}, {.action = kReboot, .ask_init = true}},
           {{"reboot", "-dfi", "--no-wall"}, {.action = kReboot, .ask_init = true}},
           {{"halt", "-p"}, {.action = kPoweroff}},
           {{"halt", "--reboot"}, {.action = kReboot}},
           {{"reboot", "--poweroff"}, {.action = kPoweroff}},
           {{"poweroff", "--no-wtmp"}, {.action = kPoweroff}},
       }) {
    auto parsed = parse(words, kNow);
    std::string line;
    for (auto word : words) line += std::string(word) + " ";
    ASSERT_TRUE(parsed) << line << parsed.error().message();
    EXPECT_TRUE(*parsed == command) << line;
  }
}

TEST(Parse, HelpIsAllThatIsWanted) {
  for (const auto& words : std::vector<Words>{{"poweroff", "--help"},
                                              {"shutdown", "--help", "nonsense"},
                                              {"capsem-sysutil", "-h"},
                                              {"reboot", "-f", "--help"},
                                              {"suspend", "-h"}}) {
    auto parsed = parse(words, kNow);
    ASSERT_TRUE(parsed) << words.back();
    EXPECT_TRUE(parsed->help) << words.back();
  }
}

TEST(Parse, RefusesWhatTheVmCannotDoWithTheReason) {
  struct Row {
    Words words;
    const char* reason;
  };
  for (const auto& [words, reason] : std::vector<Row>{
           {{"shutdown", "-k", "now"}, "nobody is told"},
           {{"shutdown", "--kexec", "now"}, "the host loads"},
           {{"shutdown", "-a", "now"}, "permitted users"},
           {{"shutdown", "-n", "now"}, "only the VM's init"},
           {{"shutdown", "-F", "now"}, "no file system"},
           {{"poweroff", "-w"}, "no record"},
           {{"reboot", "-n"}, "writes back"},
           {{"poweroff", "-h"}, "--help"},
           {{"reboot", "--firmware-setup"}, "no firmware"},
           {{"reboot", "--boot-loader-menu=5"}, "no boot loader"},
           {{"reboot", "bootloader"}, "no argument"},
       }) {
    auto parsed = parse(words, kNow);
    ASSERT_FALSE(parsed) << words[1];
    EXPECT_NE(parsed.error().kind(), ErrorKind::kInvalid) << words[1];
    EXPECT_THAT(parsed.error().message(), HasSubstr(reason));
  }
}

TEST(Parse, HasNoMeaningForAnythingElse) {
  for (const auto& words : std::vector<Words>{
           {},
           {"capsem-sysutil"},
           {"capsem-sysutil", "explode"},
           {"capsem-sysutil", "suspend", "now"},
           {"suspend", "later"},
           {"poweroff", "now"},
           {"poweroff", "-x"},
           {"poweroff", "-fx"},
           {"poweroff", "--forced"},
           {"poweroff", "--force=1"},
           {"poweroff", "--", "now"},
           {"shutdown", "--", "-r"},
           {"shutdown", "later"},
           {"shutdown", ""},
           {"shutdown", "+"},
           {"shutdown", "-5"},
           {"shutdown", "+-5"},
           {"shutdown", "+5m"},
           {"shutdown", "24:00"},
           {"shutdown", "12:60"},
           {"shutdown", "12:5"},
           {"shutdown", "12:005"},
           {"shutdown", ":"},
           {"shutdown", "+99999999999999999999"},
           {"shutdown", "+527041"},
           {"shutdown", "-t"},
           {"shutdown", "-t", "soon", "now"},
           {"shutdown", "--grace=", "now"},
           {"shutdown", "--grace=3601", "now"},
       }) {
    auto parsed = parse(words, kNow);
    auto last = std::string(words.empty() ? "" : words.back());
    ASSERT_FALSE(parsed) << last;
    EXPECT_EQ(parsed.error().kind(), ErrorKind::kInvalid) << last;
  }
}

TEST(Help, NamesEveryActionAndOption) {
  for (const char* word : {"shutdown", "poweroff", "halt", "reboot", "suspend", "--grace"})
    EXPECT_THAT(help_of("capsem-sysutil"), HasSubstr(word));
  for (const char* word : {"-h", "-P, --poweroff", "-r, --reboot", "-c", "-k", "HH:MM", "--help"})
    EXPECT_THAT(help_of("shutdown"), HasSubstr(word));
  for (const char* word : {"-f, --force", "-w, --wtmp-only", "--no-wall", "--help"})
    EXPECT_THAT(help_of("poweroff"), HasSubstr(word));
}

}  // namespace
}  // namespace capsem::guest::sysutil
