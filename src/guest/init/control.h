// PID 1's end of one control connection; control_link.h makes it again.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace capsem::guest::init {

class Control {
 public:
  // Takes over a socket that is connected to the host, and says hello.
  static Result<Control> greet(Fd socket, const wire::Hello& hello);

  const Fd& fd() const { return socket_; }

  // Sends without waiting: a host that does not read must not stop PID 1. What does not fit into
  // the socket's buffer ends the connection.
  Result<> send(const wire::GuestControl& message);

  // Reads what has arrived and hands over each message. kClosed when the host is gone.
  Result<> receive(const std::function<void(const wire::HostControl&)>& handle);

 private:
  explicit Control(Fd socket) : socket_(std::move(socket)) {}

  Fd socket_;
  wire::MessageDecoder<wire::HostControl> decoder_;
};

}  // namespace capsem::guest::init
