#include "guest/sysutil/sysutil.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"

namespace capsem::guest::sysutil {
namespace {

struct Expected {
  const char* word;
  int signal;
};

TEST(Request, SendsInitTheSignalOfTheAction) {
  for (auto [word, signal] : {Expected{"shutdown", SIGUSR2}, Expected{"poweroff", SIGUSR2},
                              Expected{"halt", SIGUSR2}, Expected{"reboot", SIGTERM}}) {
    auto init = Process::start({.argv = {"sleep", "100"}});
    ASSERT_TRUE(init);
    ASSERT_TRUE(request(*find_action(word), init->pid())) << word;
    EXPECT_EQ(init->wait()->signal, signal) << word;
  }
}

TEST(Request, SuspendSaysThatTheHostCannot) {
  auto refused = request(*find_action("suspend"), 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "cannot suspend the VM: this host cannot suspend a VM yet; leave the VM running, or "
            "power it off");
}

TEST(Request, WithoutPermissionNamesRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become someone else";
  auto init = Process::start({.argv = {"sleep", "100"}});
  ASSERT_TRUE(init);
  pid_t stranger = ::fork();
  if (stranger == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(2);
    auto refused = request(*find_action("halt"), init->pid());
    bool as_expected = !refused && refused.error().message() ==
                                       "cannot halt the VM: only root may; run it as root";
    ::_exit(as_expected ? 0 : 1);
  }
  int status = 0;
  ::waitpid(stranger, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Choose, TakesTheOptionsOfOtherSystems) {
  struct Row {
    const char* name;
    std::vector<std::string_view> options;
    const char* chosen;
  };
  for (const auto& [name, options, chosen] : std::vector<Row>{
           {"shutdown", {}, "shutdown"},
           {"shutdown", {"now"}, "shutdown"},
           {"shutdown", {"-h", "now"}, "shutdown"},
           {"shutdown", {"-r", "now"}, "reboot"},
           {"shutdown", {"-P", "+0"}, "poweroff"},
           {"poweroff", {"-f"}, "poweroff"},
           {"reboot", {"--force"}, "reboot"},
           {"halt", {"-p"}, "poweroff"},
       }) {
    auto action = choose(*find_action(name), options);
    ASSERT_TRUE(action) << name;
    EXPECT_EQ(action->word, chosen) << name;
  }
  for (const char* option : {"+5", "23:00", "-c", "-k", ""})
    EXPECT_FALSE(choose(*find_action("shutdown"), std::array{std::string_view(option)})) << option;
}

int run_words(std::vector<std::string> words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return run(static_cast<int>(words.size()), argv.data());
}

TEST(Run, TellsWrongUsageFromFailure) {
  EXPECT_EQ(run_words({"capsem-sysutil", "suspend"}), 1);
  EXPECT_EQ(run_words({"/sbin/suspend"}), 1);
  EXPECT_EQ(run_words({"capsem-sysutil"}), 2);
  EXPECT_EQ(run_words({"capsem-sysutil", "explode"}), 2);
  EXPECT_EQ(run_words({"capsem-sysutil", "suspend", "now"}), 2);
  EXPECT_EQ(run_words({"/sbin/suspend", "later"}), 2);
}

TEST(Run, HelpNamesEveryAction) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(run_words({"capsem-sysutil", "--help"}), 0);
  auto help = ::testing::internal::GetCapturedStdout();
  for (const char* word : {"shutdown", "poweroff", "halt", "reboot", "suspend"})
    EXPECT_NE(help.find(word), std::string::npos) << word;
}

}  // namespace
}  // namespace capsem::guest::sysutil
