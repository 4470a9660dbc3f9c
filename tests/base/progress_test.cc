// On a terminal of its own, since nothing is shown anywhere else.
#include "base/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <thread>

#include "base/fd.h"

namespace capsem {
namespace {

using testing::HasSubstr;
using testing::Not;

// What `work` writes to standard error while that is a terminal.
std::string on_terminal(const std::function<void()>& work) {
  int master = -1;
  int slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) return "no terminal";
  Fd ours(master);
  Fd saved(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  ::dup2(slave, STDERR_FILENO);
  ::close(slave);
  work();
  ::dup2(saved.get(), STDERR_FILENO);
  EXPECT_TRUE(set_nonblocking(ours, true));
  std::string text;
  std::array<char, 4096> piece{};
  for (ssize_t size = 0; (size = ::read(ours.get(), piece.data(), piece.size())) > 0;)
    text.append(piece.data(), static_cast<std::size_t>(size));
  return text;
}

void update_for(Progress& progress, std::chrono::milliseconds time, std::uint64_t total) {
  auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    progress.update(50, total);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST(Progress, IsSilentForWhatIsSoonDone) {
  auto text = on_terminal([] {
    Progress progress("packing");
    update_for(progress, std::chrono::milliseconds(100), 100);
  });
  EXPECT_EQ(text, "");
}

TEST(Progress, TellsHowFarItIsAndTakesTheLineAwayAgain) {
  auto text = on_terminal([] {
    Progress progress("packing");
    update_for(progress, std::chrono::milliseconds(1200), 200);
  });
  EXPECT_THAT(text, HasSubstr("capsem: packing: 25 %"));
  EXPECT_TRUE(text.ends_with("\r\x1b[K")) << text;
}

TEST(Progress, WithoutATotalTellsTheAmount) {
  auto text = on_terminal([] {
    Progress progress("packing");
    update_for(progress, std::chrono::milliseconds(1200), 0);
  });
  EXPECT_THAT(text, HasSubstr("50 B"));
  EXPECT_THAT(text, Not(HasSubstr("%")));
}

TEST(Progress, ShowsNothingWithoutATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("packing");
    update_for(progress, std::chrono::milliseconds(1100), 100);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace capsem
