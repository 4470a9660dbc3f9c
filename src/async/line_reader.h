// Reads lines from a descriptor for as long as it lives, in the background of the event loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "async/line_tail.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::async {

class LineReader {
 public:
  // Starts reading `source` (a pipe or a socket) in `tasks`, which ends with the source or the
  // reader.
  static Result<LineReader> start(const boost::asio::any_io_executor& executor, TaskGroup& tasks,
                                  Fd source);
  LineReader(LineReader&&) noexcept = default;
  LineReader& operator=(LineReader&&) = delete;
  ~LineReader();

  // Called on the event loop with each complete line, safe to print. Replaces the one before.
  void on_line(LineTail::Handler handler);

  // The last lines, at most `count`, oldest first.
  std::vector<std::string> last_lines(std::size_t count) const;

  // Reads what has already arrived, without waiting: after the writer's end, all there will be.
  void drain();

 private:
  struct State;
  explicit LineReader(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace capsem::async
