// Requests to a monitor over one connection, as src/api/openapi.json describes them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/routes.h"
#include "api/types.h"
#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

// A monitor's own words for why it did not do what was asked. The error of a connection that broke
// has no console lines.
using Refusal = api::Failure;

class Connection {
 public:
  // Over `socket`, a connected stream socket whose other end the monitor serves.
  static Result<Connection> create(const boost::asio::any_io_executor& executor, Fd socket);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) = delete;
  ~Connection();

  // The VM; with `wait` only once it has reached that state or a later one.
  Task<Result<api::Vm>> vm(std::optional<api::State> wait = std::nullopt);

  // The VM at its end, when that is in sight within `limit`: one that is being stopped is waited
  // for. kTimeout otherwise.
  Task<Result<api::Vm>> vm_at_end(std::chrono::milliseconds limit);

  // Ends the VM, and returns it at its end. The one asks the guest, whose processes have `grace` to
  // end by themselves; it goes on when this connection is closed meanwhile. The other is at once.
  Task<Result<api::Vm>> stop(std::chrono::milliseconds grace);
  Task<Result<api::Vm>> kill();

  // Gives the VM's network another policy. kInvalid for a text that is none.
  Task<Result<api::Vm>> set_policy(std::string text);
  // What the network refused, the latest first.
  Task<Result<std::vector<api::Denial>>> denials();

  // Calls `on_event` with every event, those that were before too, until the VM has ended. kClosed
  // when the monitor went away before.
  Task<Result<>> follow_events(std::function<void(const api::Event&)> on_event);

  // Calls `on_question` with what is asked now, and again whenever there is another question or
  // none, until the VM has ended. Meanwhile there is somebody to ask. kClosed as above.
  Task<Result<>> follow_questions(std::function<void(const api::Question&)> on_question);
  // Answers the question that is asked now. kInvalid when that is not the one.
  Task<Result<api::Vm>> answer(api::Answer answer);

  // What `route`, one of api::kUpgrades, opens in the guest, once that has booted: the socket of
  // its stream. The connection is of no more use. A monitor that is not able to leaves its reason
  // in `refusal`.
  Task<Result<Fd>> open(api::Route route, std::optional<Refusal>& refusal);

  // The same as a stream.
  Task<Result<std::unique_ptr<async::Stream>>> open_stream(api::Route route,
                                                           std::optional<Refusal>& refusal);

  // The same for a session: the stream of its messages.
  Task<Result<std::unique_ptr<async::Stream>>> open_session(std::optional<Refusal>& refusal);

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace capsem::client
