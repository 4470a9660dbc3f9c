// What a monitor does with the descriptors of a VM with a name, on those that the registry gives.
#include "host/named_vm.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <iterator>
#include <optional>
#include <utility>

#include "async/task_group.h"
#include "client/connection.h"
#include "client/registry.h"
#include "tests/host/fake_machine.h"
#include "tests/temporary_directory.h"

namespace capsem::host {
namespace {

namespace fs = std::filesystem;
using api::RecordedState;

class NamedVmTest : public ::testing::Test {
 protected:
  NamedVmTest() {
    fs::create_directories(directory / "state");
    fs::create_directories(directory / "runtime");
    auto claimed = registry.create("one", {});
    std::vector<Fd> files(std::make_move_iterator(claimed->files.begin()),
                          std::make_move_iterator(claimed->files.end()));
    vm = std::make_unique<NamedVm>(loop.executor(), std::move(files));
  }
  void run(Task<Result<>> task) {
    bool done = false;
    loop.spawn([](Task<Result<>> work, bool& end) -> Task<> {
      auto result = co_await std::move(work);
      EXPECT_TRUE(result) << result.error().message();
      end = true;
    }(std::move(task), done));
    loop.run_until([&] { return done; });
  }

  testing::TemporaryDirectory directory;
  client::Registry registry{directory / "state", directory / "runtime"};
  async::Loop loop;
  std::unique_ptr<NamedVm> vm;
};

TEST_F(NamedVmTest, WritesDownHowItWent) {
  run(vm->record_start());
  EXPECT_EQ(api::read_record(directory / "state" / "one")->state, RecordedState::kRunning);
  const api::End end{.kind = api::EndKind::kFailed, .error = Error("run", "QEMU", "it broke")};
  run(vm->record_end(end));
  vm.reset();
  auto found = registry.find("one");
  EXPECT_EQ(found->record->state, RecordedState::kFailed);
  EXPECT_EQ(found->record->reason, "cannot run QEMU: it broke");
}

TEST_F(NamedVmTest, IsStoppedWhenTheGuestSwitchedItselfOff) {
  const api::End end{.kind = api::EndKind::kPoweredOff, .error = std::nullopt};
  run(vm->record_end(end));
  vm.reset();
  auto found = registry.find("one");
  EXPECT_EQ(found->record->state, RecordedState::kStopped);
  EXPECT_EQ(found->record->reason, "the guest was switched off");
}

TEST_F(NamedVmTest, TakesClientsAtItsSocketAndTheSocketAlong) {
  Monitor monitor(loop.executor(), std::make_unique<FakeMachine>(loop), MonitorOptions{});
  Clients clients(loop.executor(), monitor);
  async::TaskGroup tasks(loop.executor());
  tasks.spawn(vm->accept(clients));
  auto socket = registry.connect("one");
  ASSERT_TRUE(socket) << socket.error().message();
  auto connection = client::Connection::create(loop.executor(), std::move(*socket));
  std::optional<Result<api::Vm>> answer;
  loop.spawn([](client::Connection& to, std::optional<Result<api::Vm>>& into) -> Task<> {
    into = co_await to.vm();
  }(*connection, answer));
  loop.run_until([&] { return answer.has_value(); });
  EXPECT_TRUE(*answer);
  tasks.cancel();
  bool joined = false;
  loop.spawn([](async::TaskGroup& group, Clients& served, bool& end) -> Task<> {
    co_await group.join();
    co_await served.end();
    end = true;
  }(tasks, clients, joined));
  loop.run_until([&] { return joined; });
  vm.reset();
  EXPECT_FALSE(fs::exists(directory / "runtime" / "one" / api::kMonitorSocket));
}

}  // namespace
}  // namespace capsem::host
