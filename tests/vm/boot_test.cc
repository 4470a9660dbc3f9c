// What only a real kernel shows. Runs under TCG, which every machine has.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "tests/temporary_directory.h"
#include "tests/vm/kernels.h"
#include "tests/vm/on_loop.h"
#include "vm/panic.h"
#include "vm/qemu.h"

namespace capsem::vm {
namespace {

using std::chrono::seconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::in_memory;
using testing::on_loop;

std::filesystem::path kernel_path() {
  const char* assets = std::getenv("CAPSEM_ASSETS");
  return std::filesystem::path(assets != nullptr ? assets : CAPSEM_ASSETS) / "vmlinux";
}

// A newc archive (Linux: buffer-format.rst) whose one file is /init.
std::string initrd_of(const std::string& init) {
  std::string archive;
  auto add = [&archive](std::string_view name, unsigned mode, std::string_view data) {
    std::array<char, 128> header{};
    [[maybe_unused]] int n =
        std::snprintf(header.data(), header.size(),
                      "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1u, mode, 0u,
                      0u, 1u, 0u, data.size(), 0u, 0u, 0u, 0u, name.size() + 1, 0u);
    auto pad = [&archive] { archive.resize((archive.size() + 3) / 4 * 4); };
    archive += header.data();
    archive += name;
    archive += '\0';
    pad();
    archive += data;
    pad();
  };
  add("init", 0100755, init);
  add("TRAILER!!!", 0, "");
  return archive;
}

class Boot : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kernel_path()))
      GTEST_SKIP() << "no kernel at " << kernel_path()
                   << ": build the assets, or set CAPSEM_ASSETS";
    kernel_ = open_file(kernel_path(), O_RDONLY).value();
    initrd_ = in_memory(as_bytes(initrd_of(read_file(CAPSEM_TEST_INIT, 16 << 20).value())));
  }

  // A machine whose init does `what`.
  Machine machine(const std::string& what) const {
    return {.kernel = &kernel_, .initrd = &initrd_, .command_line = "-- " + what, .vsock = false};
  }

  Fd kernel_;
  Fd initrd_;
};

// What a run of a machine left behind.
struct Run {
  std::optional<ExitStatus> status;
  std::vector<std::string> lines;
  std::vector<std::string> events;
};

Run run(const Machine& machine) {
  Run result;
  on_loop([&](auto executor) -> Task<> {
    auto qemu = Qemu::start(executor, machine);
    if (!qemu) {
      ADD_FAILURE() << qemu.error().message();
      co_return;
    }
    qemu->qmp().on_event([&](std::string_view event, const nlohmann::json& data) {
      result.events.push_back(std::string(event) + " " + data.value("reason", ""));
    });
    auto connected = co_await qemu->connect();
    EXPECT_TRUE(connected) << connected.error().message();
    auto status = co_await qemu->wait_for(seconds(50));
    if (status) result.status = *status;
    result.lines = qemu->console().last_lines(100);
  });
  return result;
}

TEST_F(Boot, RunsInitAndEndsWithTheGuest) {
  auto seen = run(machine("floor"));
  ASSERT_TRUE(seen.status);
  EXPECT_TRUE(seen.status->success());
  EXPECT_THAT(seen.lines, Contains("FLOOR"));
  EXPECT_THAT(seen.events, Contains("SHUTDOWN guest-shutdown"));
}

TEST_F(Boot, ShowsAPanicAndEnds) {
  auto seen = run(machine("panic"));
  ASSERT_TRUE(seen.status) << "QEMU still ran";
  auto panic = std::find_if(seen.lines.begin(), seen.lines.end(),
                            [](const std::string& line) { return panic_reason(line); });
  ASSERT_NE(panic, seen.lines.end());
  EXPECT_THAT(*panic, HasSubstr("Attempted to kill init! exitcode=0x00000300"));
  EXPECT_THAT(seen.events, Contains("SHUTDOWN guest-reset"));
}

TEST_F(Boot, HostileConsoleBytesAreEscaped) {
  EXPECT_THAT(run(machine("noise")).lines, Contains(HasSubstr("\\x1b[2J\\xff\\x9bnoise")));
}

TEST_F(Boot, ARebootEndsQemu) {
  auto seen = run(machine("reboot"));
  EXPECT_TRUE(seen.status && seen.status->success());
}

TEST_F(Boot, ARebootMayStartTheGuestAgain) {
  on_loop([&](auto executor) -> Task<> {
    auto again = machine("reboot");
    again.reboot_ends = false;
    auto qemu = Qemu::start(executor, again);
    boost::asio::steady_timer reset(executor, boost::asio::steady_timer::time_point::max());
    qemu->qmp().on_event([&](std::string_view event, const nlohmann::json&) {
      if (event == "RESET") reset.cancel();
    });
    auto connected = co_await qemu->connect();
    EXPECT_TRUE(connected) << connected.error().message();
    boost::system::error_code cancelled;
    co_await reset.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    auto status = co_await qemu->wait_for(std::chrono::milliseconds(1));
    EXPECT_FALSE(status->has_value());
  });
}

TEST_F(Boot, BootsTheFileThatWasOpenedThoughItsPathIsReplaced) {
  testing::TemporaryDirectory directory;
  std::filesystem::copy_file(kernel_path(), directory / "vmlinux");
  kernel_ = open_file(directory / "vmlinux", O_RDONLY).value();
  ASSERT_TRUE(write_file_atomically(directory / "vmlinux", "another kernel"));
  EXPECT_THAT(run(machine("floor")).lines, Contains("FLOOR"));
}

TEST_F(Boot, ShowsWhereAGuestStandsThatHangs) {
  on_loop([&](auto executor) -> Task<> {
    auto qemu = Qemu::start(executor, machine("hang"));
    auto& console = qemu->console();
    for (;;) {
      auto lines = console.last_lines(1);
      if (!lines.empty() && lines.back() == "hanging") break;
      auto ended = co_await qemu->wait_for(std::chrono::milliseconds(20));
      if (!ended || ended->has_value()) {
        ADD_FAILURE() << "QEMU ended";
        break;
      }
    }
    auto status = co_await qemu->end();
    EXPECT_TRUE(status.has_value());
  });
}

}  // namespace
}  // namespace capsem::vm
