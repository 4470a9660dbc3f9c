// Lines for the user's standard error while the event loop runs. One that takes nothing, as a pipe
// that nobody reads, holds up neither the session nor its end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "async/event.h"
#include "async/task.h"
#include "client/endpoint.h"

namespace capsem::client {

// Lines that wait; those beyond are left out, and counted.
inline constexpr std::size_t kMaxMessages = 100;

class Messages {
 public:
  // Of the descriptor `fd`, which is borrowed.
  Messages(const boost::asio::any_io_executor& executor, int fd)
      : output_(Output::open(executor, fd, "standard error")) {}

  void say(std::string_view text);
  void warn(std::string_view text);

  // While held, lines wait: on a terminal that is the guest's they would end up in the middle of
  // its screen.
  void hold(bool held);

  // Writes until it is cancelled.
  Task<> run();

  // The lines that were not written, for who may wait for the reader.
  std::string rest() const;

 private:
  void put(std::string line);

  Output output_;
  async::Event changed_;
  std::deque<std::string> lines_;
  std::size_t left_out_ = 0;
  bool held_ = false;
};

}  // namespace capsem::client
