#include "async/task_group.h"

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <stdexcept>

#include "async/event.h"
#include "async/latch.h"
#include "async/limit.h"
#include "async/offload.h"
#include "tests/async/loop.h"

namespace capsem::async {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

Task<> wait_for(Event& event, bool& went_on) {
  bool notified = co_await event.wait();
  went_on = notified;
}

Task<> sleep_for_ever() {
  asio::steady_timer timer(co_await asio::this_coro::executor,
                           asio::steady_timer::time_point::max());
  co_await timer.async_wait(asio::use_awaitable);
}

Task<> throw_after(Event& event) {
  co_await event.wait();
  throw std::runtime_error("broken");
}

TEST(TaskGroup, JoinsWhatHasEndedAndWhatHasNot) {
  Loop loop;
  Event first;
  Event second;
  bool first_done = false;
  bool second_done = false;
  bool joined = false;
  TaskGroup tasks(loop.executor());
  tasks.spawn(wait_for(first, first_done));
  tasks.spawn(wait_for(second, second_done));
  loop.spawn([](TaskGroup& group, bool& done) -> Task<> {
    co_await group.join();
    done = true;
  }(tasks, joined));
  first.notify();
  loop.run_until([&] { return first_done; });
  EXPECT_FALSE(joined);
  second.notify();
  loop.run();
  EXPECT_TRUE(second_done);
  EXPECT_TRUE(joined);
  EXPECT_TRUE(tasks.empty());
}

TEST(TaskGroup, CancelUnwindsWhateverWaits) {
  Loop loop;
  Event never;
  bool went_on = true;
  auto held = std::make_shared<int>(1);
  TaskGroup tasks(loop.executor());
  tasks.spawn(sleep_for_ever());
  tasks.spawn(wait_for(never, went_on));
  tasks.spawn([](std::shared_ptr<int>) -> Task<> { co_await sleep_for_ever(); }(held));
  loop.spawn([](TaskGroup& group) -> Task<> {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    group.cancel();
    co_await group.join();
  }(tasks));
  loop.run();
  EXPECT_FALSE(went_on);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(TaskGroup, TheFirstExceptionEndsTheGroupAndIsReported) {
  Loop loop;
  Event event;
  TaskGroup tasks(loop.executor());
  tasks.spawn(sleep_for_ever());
  tasks.spawn(throw_after(event));
  event.notify();
  std::string reported;
  loop.spawn([](TaskGroup& group, std::string& text) -> Task<> {
    try {
      co_await group.join();
    } catch (const std::runtime_error& error) {
      text = error.what();
    }
  }(tasks, reported));
  loop.run();
  EXPECT_EQ(reported, "broken");
}

TEST(TaskGroup, AWaiterThatIsCancelledOutlivesItsTasks) {
  Loop loop;
  bool task_ended = false;
  bool in_time = false;
  auto waiter = [](asio::any_io_executor executor, bool& ended, bool& before) -> Task<> {
    struct AtEnd {
      bool& ended;
      bool& before;
      ~AtEnd() { before = ended; }
    } at_end{ended, before};
    auto task = [](bool& flag) -> Task<> {
      struct Ended {
        bool& ended;
        ~Ended() { ended = true; }
      } at{flag};
      co_await sleep_for_ever();
    };
    TaskGroup inner(executor);
    inner.spawn(task(ended));
    co_await inner.join();
  };
  TaskGroup outer(loop.executor());
  outer.spawn(waiter(loop.executor(), task_ended, in_time));
  loop.context().poll();
  loop.context().restart();
  outer.cancel();
  loop.spawn([](TaskGroup& group) -> Task<> { co_await group.join(); }(outer));
  loop.run();
  EXPECT_TRUE(task_ended);
  EXPECT_TRUE(in_time);
}

TEST(TaskGroup, TakesNothingAfterCancel) {
  Loop loop;
  TaskGroup tasks(loop.executor());
  tasks.cancel();
  bool ran = false;
  tasks.spawn([](bool& run) -> Task<> {
    run = true;
    co_return;
  }(ran));
  loop.run();
  EXPECT_FALSE(ran);
  EXPECT_TRUE(tasks.empty());
}

TEST(TaskGroup, MayBeDestroyedWhileTasksRun) {
  Loop loop;
  auto held = std::make_shared<int>(1);
  {
    TaskGroup tasks(loop.executor());
    tasks.spawn([](std::shared_ptr<int>) -> Task<> { co_await sleep_for_ever(); }(held));
    loop.context().poll();
    EXPECT_EQ(held.use_count(), 2);
  }
  loop.context().restart();
  loop.context().poll();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Event, RemembersOneNotify) {
  Loop loop;
  Event event;
  event.notify();
  event.notify();
  bool first = false;
  bool second = false;
  loop.spawn(wait_for(event, first));
  loop.run();
  EXPECT_TRUE(first);
  TaskGroup tasks(loop.executor());
  tasks.spawn(wait_for(event, second));
  loop.context().restart();
  loop.context().poll();
  EXPECT_FALSE(second);
}

TEST(Limit, GivesTheValueOfATaskThatEndsInTime) {
  Loop loop;
  std::optional<int> value;
  loop.spawn([](std::optional<int>& into) -> Task<> {
    auto seven = []() -> Task<int> { co_return 7; };
    into = co_await with_limit(milliseconds(60'000), seven());
  }(value));
  loop.run();
  EXPECT_EQ(value, 7);
}

TEST(Limit, UnwindsATaskThatDoesNot) {
  Loop loop;
  auto held = std::make_shared<int>(1);
  std::optional<int> value = 1;
  loop.spawn([](std::shared_ptr<int> token, std::optional<int>& into) -> Task<> {
    auto endless = [](std::shared_ptr<int>) -> Task<int> {
      co_await sleep_for_ever();
      co_return 1;
    };
    into = co_await with_limit(milliseconds(5), endless(token));
    EXPECT_EQ(token.use_count(), 2);  // this one and the test's own
  }(held, value));
  loop.run();
  EXPECT_FALSE(value);
}

TEST(Latch, LetsEveryoneGoOnOnceSet) {
  Loop loop;
  Latch latch(loop.executor());
  int went_on = 0;
  auto wait = [](Latch& on, int& count) -> Task<> {
    bool set = co_await on.wait();
    count += set ? 1 : 0;
  };
  loop.spawn(wait(latch, went_on));
  loop.spawn(wait(latch, went_on));
  loop.context().poll();
  EXPECT_EQ(went_on, 0);
  latch.set();
  loop.run();
  loop.context().restart();
  loop.spawn(wait(latch, went_on));
  loop.run();
  EXPECT_EQ(went_on, 3);
}

TEST(Offload, RunsElsewhereAndComesBack) {
  Loop loop;
  Offload offload;
  auto here = std::this_thread::get_id();
  auto there = here;
  auto back = std::thread::id();
  loop.spawn([](Offload& to, std::thread::id& ran, std::thread::id& returned) -> Task<> {
    ran = co_await to.run([] { return std::this_thread::get_id(); });
    returned = std::this_thread::get_id();
  }(offload, there, back));
  loop.run();
  EXPECT_TRUE(there != here);
  EXPECT_TRUE(back == here);
}

TEST(Offload, BringsAnExceptionBack) {
  Loop loop;
  Offload offload;
  std::string text;
  loop.spawn([](Offload& to, std::string& into) -> Task<> {
    try {
      co_await to.run([]() -> int { throw std::runtime_error("no"); });
    } catch (const std::runtime_error& error) {
      into = error.what();
    }
  }(offload, text));
  loop.run();
  EXPECT_EQ(text, "no");
}

// As Asio would have it, the event loop would throw.
TEST(TaskGroup, ATaskMayCancelItsGroupBeforeItHasWaited) {
  Loop loop;
  TaskGroup group(loop.executor());
  auto cancel = [](TaskGroup& own) -> Task<> {
    own.cancel();
    co_return;
  };
  auto spawn = [](TaskGroup& own, Task<> task) -> Task<> {
    own.spawn(std::move(task));
    co_await own.join();
  };
  loop.spawn(spawn(group, cancel(group)));
  loop.run();
  EXPECT_TRUE(group.empty());
}

}  // namespace
}  // namespace capsem::async
