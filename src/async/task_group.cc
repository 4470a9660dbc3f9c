#include "async/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <list>
#include <utility>

#include "async/event.h"

namespace capsem::async {

namespace asio = boost::asio;

namespace {

// How a cancelled coroutine unwinds; nothing that anyone has to hear of.
bool is_cancellation(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

// Asio (co_spawn_entry_point) lets the exception of a cancellation out into the event loop when a
// coroutine that never waited has been cancelled by itself, so every task waits once.
Task<> after_a_turn(Task<> task) {
  co_await asio::post(asio::use_awaitable);
  co_await std::move(task);
}

}  // namespace

// Shared with the tasks' ends, which may come after the group's.
struct TaskGroup::State {
  explicit State(const asio::any_io_executor& on) : executor(on) {}

  asio::any_io_executor executor;
  std::list<asio::cancellation_signal> running;
  std::exception_ptr thrown;
  bool cancelled = false;
  Event ended;

  void cancel() {
    cancelled = true;
    for (auto& signal : running) signal.emit(asio::cancellation_type::terminal);
  }

  void finish(std::list<asio::cancellation_signal>::iterator place,
              const std::exception_ptr& exception) {
    running.erase(place);
    if (exception && !thrown && !(cancelled && is_cancellation(exception))) {
      thrown = exception;
      cancel();
    }
    if (running.empty()) ended.notify();
  }
};

TaskGroup::TaskGroup(const asio::any_io_executor& executor)
    : state_(std::make_shared<State>(executor)) {}

TaskGroup::~TaskGroup() {
  state_->cancel();
}

void TaskGroup::spawn(Task<> task) {
  if (state_->cancelled) return;
  auto place = state_->running.emplace(state_->running.end());
  asio::co_spawn(state_->executor, after_a_turn(std::move(task)),
                 asio::bind_cancellation_slot(
                     place->slot(), [state = state_, place](const std::exception_ptr& exception) {
                       state->finish(place, exception);
                     }));
}

void TaskGroup::cancel() {
  state_->cancel();
}

Task<> TaskGroup::join() {
  auto state = state_;
  // A waiter that is cancelled itself must not go before its tasks, which work on what it owns.
  bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!state->running.empty()) {
    bool notified = co_await state->ended.wait();
    if (!notified) state->cancel();
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (state->thrown) std::rethrow_exception(std::exchange(state->thrown, nullptr));
}

bool TaskGroup::empty() const {
  return state_->running.empty();
}

}  // namespace capsem::async
