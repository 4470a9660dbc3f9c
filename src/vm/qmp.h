// QEMU's machine protocol (docs/interop/qmp-spec.txt of QEMU): JSON lines over a socket, commands
// with answers, and events in between.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "async/task.h"
#include "async/task_group.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::vm {

struct QemuVersion {
  int major = 0;
  int minor = 0;
  int micro = 0;

  auto operator<=>(const QemuVersion&) const = default;
  std::string text() const;  // "7.2.22"
};

class Qmp {
 public:
  // An event's name (SHUTDOWN, RESET, GUEST_PANICKED, STOP, ...) and its "data" member.
  using EventHandler = std::function<void(std::string_view event, const nlohmann::json& data)>;

  // Speaks over `socket` in `tasks`, which end with the socket or with this.
  static Result<Qmp> create(const boost::asio::any_io_executor& executor, async::TaskGroup& tasks,
                            Fd socket);
  Qmp(Qmp&&) noexcept = default;
  Qmp& operator=(Qmp&&) = delete;
  ~Qmp();

  // Reads the greeting and enters command mode; returns QEMU's version. Once, before execute().
  // kTimeout after `limit`, kClosed when QEMU went away.
  Task<Result<QemuVersion>> connect(std::chrono::milliseconds limit);

  // Sends a command and returns the "return" member of its answer. An error QEMU answers with is
  // the error's reason; kTimeout after `limit`, kClosed when QEMU went away.
  Task<Result<nlohmann::json>> execute(std::string command, nlohmann::json arguments,
                                       std::chrono::milliseconds limit);

  // Called on the event loop with each event that arrives after connect().
  void on_event(EventHandler handler);

 private:
  struct State;
  explicit Qmp(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace capsem::vm
