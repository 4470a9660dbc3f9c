// The host as the agent sees it, message by message, so that tests can also say what a real one
// would not.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/fd.h"
#include "guest/pty-agent/serve.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::guest::pty_agent {

inline constexpr int kTestLimitMilliseconds = 60'000;

class HostPeer {
 public:
  // Over a connection to an agent that runs already.
  explicit HostPeer(Fd connection) : connection_(std::move(connection)) {}

  // With an agent of its own, in a process of its own.
  HostPeer() {
    auto pair = socket_pair();
    agent_ = ::fork();
    if (agent_ == 0) {
      pair->first.reset();
      serve_connection(std::move(pair->second), own_spaces().value());
      ::_exit(0);
    }
    connection_ = std::move(pair->first);
  }
  ~HostPeer() {
    connection_.reset();
    if (agent_ > 0) ::waitpid(agent_, nullptr, 0);
  }
  HostPeer(HostPeer&& other) noexcept
      : agent_(std::exchange(other.agent_, -1)), connection_(std::move(other.connection_)) {}
  HostPeer& operator=(HostPeer&&) = delete;

  void send_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0) return;  // the agent has ended the session: its last message says why
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void send(const wire::HostSession& message) { send_bytes(wire::encode(message).value()); }
  void start(std::string line) { send(wire::SessionStart{.command_line = std::move(line)}); }
  void close() { connection_.reset(); }
  // The process that serves this one, if it is its own.
  pid_t agent() const { return agent_; }

  // The next message; nothing at the end of the connection.
  std::optional<wire::GuestSession> receive() {
    for (;;) {
      auto message = decoder_.next();
      if (!message) ADD_FAILURE() << message.error().message();
      if (!message || *message) return message ? std::move(*message) : std::nullopt;
      pollfd waiting{.fd = connection_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, kTestLimitMilliseconds) != 1) {
        ADD_FAILURE() << "the agent says nothing";
        return std::nullopt;
      }
      auto room = decoder_.prepare();
      ssize_t n = ::recv(connection_.get(), room.data(), room.size(), 0);
      if (n <= 0) return std::nullopt;
      decoder_.commit(static_cast<std::size_t>(n));
    }
  }

  // Exactly so many bytes, whatever they say; false when the connection ends before. No message is
  // to be received after that.
  bool receive_bytes(std::size_t size) {
    std::string ignored(size, '\0');
    return ::recv(connection_.get(), ignored.data(), size, MSG_WAITALL) ==
           static_cast<ssize_t>(size);
  }

  // The next message of a kind, passing over others.
  template <class Message>
  std::optional<Message> wait_for() {
    while (auto message = receive())
      if (auto* wanted = std::get_if<Message>(&*message)) return std::move(*wanted);
    return std::nullopt;
  }

 private:
  pid_t agent_ = -1;
  Fd connection_;
  wire::MessageDecoder<wire::GuestSession> decoder_;
};

}  // namespace capsem::guest::pty_agent
