// Coroutines that run beside each other on one event loop and are ended and waited for together, so
// that none outlives what it works on and no exception is lost.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "async/task.h"

namespace capsem::async {

class TaskGroup {
 public:
  // Tasks run on `executor`, whose context must outlive the group.
  explicit TaskGroup(const boost::asio::any_io_executor& executor);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  // Cancels what still runs. A task that is not joined before must own all that it touches.
  ~TaskGroup();

  // Starts `task` with the loop's next turn. After cancel() it is dropped unstarted. The first
  // exception that a task lets out cancels the group.
  void spawn(Task<> task);

  // Asks every task to end: what it waits for is cut short, and its next wait throws, which unwinds
  // it. May be called by a task of the group.
  void cancel();

  // Waits until no task runs, those included that are spawned meanwhile; throws the first
  // exception. A wait that is cancelled cancels the group, and ends after its tasks as well. Not
  // for a task of the group. One waiter at a time.
  Task<> join();

  bool empty() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace capsem::async
