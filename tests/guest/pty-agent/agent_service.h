// The agent as a service: a listening socket handed over by PID 1, many connections.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "guest/pty-agent/pty_agent.h"
#include "tests/temporary_directory.h"

namespace capsem::guest::pty_agent {

class AgentProcess {
 public:
  AgentProcess() {
    address_.sun_family = AF_UNIX;
    (directory_ / "socket").string().copy(address_.sun_path, sizeof address_.sun_path - 1);
    listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), generic(), sizeof address_), 0);
    EXPECT_EQ(::listen(listener_.get(), 1000), 0);
  }
  ~AgentProcess() { stop(); }
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  void start() {
    agent_ = ::fork();
    if (agent_ != 0) return;
    ::dup2(listener_.get(), 3);
    if (listener_.get() != 3) listener_.reset();
    ::setenv("LISTEN_FDS", "1", 1);
    ::_exit(run(0, nullptr));
  }
  void stop() {
    if (agent_ <= 0) return;
    ::kill(agent_, SIGKILL);
    ::waitpid(std::exchange(agent_, -1), nullptr, 0);
  }

  pid_t pid() const { return agent_; }
  // The status that the agent exits with by itself within ten seconds; -1 when it does not.
  int exit_status() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      int status = 0;
      if (::waitpid(agent_, &status, WNOHANG) != agent_) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        continue;
      }
      agent_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    return -1;
  }

  // Connects even before start(), as to a socket of PID 1's.
  Fd connect() const {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), generic(), sizeof address_), 0);
    return socket;
  }

 private:
  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&address_); }

  testing::TemporaryDirectory directory_;
  sockaddr_un address_{};
  Fd listener_;
  pid_t agent_ = -1;
};

}  // namespace capsem::guest::pty_agent
