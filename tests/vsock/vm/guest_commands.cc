#include "tests/vsock/vm/guest_commands.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/text.h"
#include "tests/vsock/vm/guest_socket.h"
#include "tests/vsock/vm/pattern.h"

namespace capsem::vsock {
namespace {

using Clock = std::chrono::steady_clock;
using Arguments = std::span<const std::string>;

constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kPingBytes = 64;

std::uint64_t number(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 10);
}

long nanoseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

// Sends `bytes`, checked ones from a Pattern, others whatever they are.
bool send_bytes(const Fd& socket, std::uint64_t bytes, bool checked) {
  std::vector<std::byte> chunk(kChunkBytes);
  Pattern pattern;
  while (bytes != 0) {
    const std::span<std::byte> part =
        std::span(chunk).first(std::min<std::uint64_t>(bytes, chunk.size()));
    if (checked) {
      pattern.fill(part);
    }
    if (!send_all(socket, part)) {
      return false;
    }
    bytes -= part.size();
  }
  return true;
}

// How many bytes came until the end; nothing when they were not the right ones.
std::optional<std::uint64_t> receive_bytes(const Fd& socket, bool checked) {
  std::vector<std::byte> chunk(kChunkBytes);
  Pattern pattern;
  std::uint64_t total = 0;
  for (;;) {
    const ssize_t size = ::recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (size <= 0) {
      return size == 0 ? std::optional(total) : std::nullopt;
    }
    const auto part = std::span(chunk).first(static_cast<std::size_t>(size));
    if (checked && !pattern.check(part)) {
      return std::nullopt;
    }
    total += part.size();
  }
}

bool at_end(const Fd& socket) {
  std::byte byte{};
  return receive_all(socket, std::span(&byte, 1)) == 0U;
}

void echo(const Fd& socket) {
  std::vector<std::byte> buffer(kChunkBytes);
  for (;;) {
    const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0 || !send_all(socket, std::span(buffer).first(static_cast<std::size_t>(size)))) {
      return;
    }
  }
}

// push PEER BYTES CHECKED: sends, ends, and waits for the peer's end.
std::string push(Arguments arguments) {
  Result<Fd> socket = connect_to(arguments[0]);
  if (!socket) {
    return "failed: " + socket.error().message();
  }
  if (!send_bytes(*socket, number(arguments[1]), arguments[2] == "1")) {
    return "failed: send";
  }
  ::shutdown(socket->get(), SHUT_WR);
  return at_end(*socket) ? "ok" : "failed: no end";
}

// pull PEER CHECKED: receives until the peer's end.
std::string pull(Arguments arguments) {
  Result<Fd> socket = connect_to(arguments[0]);
  if (!socket) {
    return "failed: " + socket.error().message();
  }
  const auto total = receive_bytes(*socket, arguments[1] == "1");
  return total ? "ok " + std::to_string(*total) : "failed: receive";
}

// ping PEER COUNT: round trips of 64 bytes; the median in nanoseconds.
std::string ping(Arguments arguments) {
  Result<Fd> socket = connect_to(arguments[0]);
  if (!socket) {
    return "failed: " + socket.error().message();
  }
  std::vector<long> times(number(arguments[1]));
  std::array<std::byte, kPingBytes> buffer{};
  for (long& time : times) {
    const auto start = Clock::now();
    if (!send_all(*socket, buffer) || receive_all(*socket, buffer) != buffer.size()) {
      return "failed: no answer";
    }
    time = nanoseconds(Clock::now() - start);
  }
  std::ranges::nth_element(times, times.begin() + static_cast<long>(times.size() / 2));
  return "ok " + std::to_string(times[times.size() / 2]);
}

// One connection of churn: says its number, expects it back.
bool exchange(const Fd& socket, std::uint32_t value) {
  std::array<std::byte, sizeof value> buffer{};
  std::memcpy(buffer.data(), &value, sizeof value);
  std::array<std::byte, sizeof value> answer{};
  return send_all(socket, buffer) && receive_all(socket, answer) == answer.size() &&
         answer == buffer;
}

// churn PEER COUNT AT_ONCE: connections opened, used and closed, AT_ONCE of them open together.
std::string churn(Arguments arguments) {
  const std::uint64_t count = number(arguments[1]);
  const std::uint64_t at_once = number(arguments[2]);
  for (std::uint64_t done = 0; done < count;) {
    std::vector<Fd> sockets;
    while (sockets.size() < at_once && done + sockets.size() < count) {
      Result<Fd> socket = connect_to(arguments[0]);
      if (!socket) {
        return "failed after " + std::to_string(done + sockets.size()) + ": " +
               socket.error().message();
      }
      sockets.push_back(*std::move(socket));
    }
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      if (!exchange(sockets[i], static_cast<std::uint32_t>(done + i))) {
        return "failed: connection " + std::to_string(done + i) + " has no echo";
      }
    }
    done += sockets.size();
  }
  return "ok";
}

// refused PEER: how many microseconds until the connection is refused.
std::string refused(Arguments arguments) {
  const auto start = Clock::now();
  Result<Fd> socket = connect_to(arguments[0]);
  if (socket) {
    return "failed: it was accepted";
  }
  return "ok " + std::to_string(nanoseconds(Clock::now() - start) / 1000) + " " +
         socket.error().message();
}

// linger PEER: how many microseconds close(2) takes when it waits for the peer's reset.
std::string linger(Arguments arguments) {
  Result<Fd> socket = connect_to(arguments[0]);
  if (!socket) {
    return "failed: " + socket.error().message();
  }
  const struct linger wait{.l_onoff = 1, .l_linger = 5};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_LINGER, &wait, sizeof wait);
  const auto start = Clock::now();
  socket->reset();
  return "ok " + std::to_string(nanoseconds(Clock::now() - start) / 1000);
}

// half PEER TEXT: sends the text, ends, and returns what comes back until the peer's end.
std::string half(Arguments arguments) {
  Result<Fd> socket = connect_to(arguments[0]);
  if (!socket || !send_all(*socket, as_bytes(arguments[1]))) {
    return "failed: connect or send";
  }
  ::shutdown(socket->get(), SHUT_WR);
  std::vector<std::byte> answer(4096);
  const auto size = receive_all(*socket, answer);
  return size ? "ok " + std::string(as_text(std::span(answer).first(*size))) : "failed: reset";
}

// echo PEER: sends back what comes, until the peer's end.
std::string echo_peer(Arguments arguments) {
  Result<Fd> socket = connect_to(arguments[0]);
  if (!socket) {
    return "failed: " + socket.error().message();
  }
  echo(*socket);
  return "ok";
}

struct Command {
  std::string_view name;
  std::size_t arguments;
  std::string (*carry_out)(Arguments);
};

constexpr Command kCommands[] = {
    {"push", 3, push},       {"pull", 2, pull},     {"ping", 2, ping}, {"churn", 3, churn},
    {"refused", 1, refused}, {"linger", 1, linger}, {"half", 2, half}, {"echo", 1, echo_peer},
};

void sink(const Fd& socket) {
  const auto total = receive_bytes(socket, true);
  send_line(socket, total ? std::to_string(*total) : "damaged");
}

void source(const Fd& socket) {
  const auto line = receive_line(socket);
  send_bytes(socket, number(line.value_or("0")), true);
}

struct Service {
  unsigned port;
  void (*serve)(const Fd&);
};

constexpr Service kServices[] = {{kEchoPort, echo}, {kSinkPort, sink}, {kSourcePort, source}};

}  // namespace

std::string carry_out(std::string_view line) {
  std::vector<std::string> words;
  for (const std::string_view word : split(line, ' ')) {
    words.emplace_back(word);
  }
  const auto command = std::ranges::find(kCommands, words.front(), &Command::name);
  if (command == std::end(kCommands) || command->arguments != words.size() - 1) {
    return "failed: no such command";
  }
  return command->carry_out(std::span(words).subspan(1));
}

std::string start_services() {
  for (const Service& service : kServices) {
    Result<Fd> listener = listen_on(service.port);
    if (!listener) {
      return listener.error().message();
    }
    std::thread([listener = *std::move(listener), serve = service.serve] {
      for (;;) {
        Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (socket) {
          std::thread([socket = std::move(socket), serve] { serve(socket); }).detach();
        }
      }
    }).detach();
  }
  return "ok";
}

}  // namespace capsem::vsock
