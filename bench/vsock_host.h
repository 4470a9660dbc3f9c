// The host's side of the vsock benchmark: the same services on a vsock port and on a TCP port of
// the loopback interface, so that only what carries the bytes differs.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "async/stream.h"
#include "tests/vsock/vm/machine.h"

namespace capsem::vsock {

// What the host does with the next connection, and how long that took: from its acceptance to the
// end. Nothing when it failed.
using Service = std::function<Task<>(Stream&, std::optional<double>& seconds)>;

Service send_bytes(std::uint64_t bytes);  // to the guest, until it has closed
Service receive_all();                    // from the guest, until its end
Service echo();                           // for as long as the guest asks
Service ask(unsigned count);              // 64 bytes each; `seconds` is the median round trip

class BenchHost {
 public:
  static constexpr std::uint32_t kVsockPort = 6000;

  static Result<std::unique_ptr<BenchHost>> create(GuestMachine& machine);

  // Where the guest reaches us: a peer for its commands.
  std::string vsock_peer() const { return "vsock:" + std::to_string(kVsockPort); }
  std::string tcp_peer() const;

  // Has the guest carry out `command`, which makes one connection, and serves that. The guest's
  // answer; `seconds` as the service says.
  std::string run(const std::string& command, Service service, std::optional<double>& seconds);

 private:
  explicit BenchHost(GuestMachine& machine);
  Task<> accept_tcp();
  void serve(std::unique_ptr<Stream> stream);
  Task<> serve_one(std::unique_ptr<Stream> stream);

  GuestMachine& machine_;
  boost::asio::ip::tcp::acceptor acceptor_;
  Service service_;
  std::optional<double>* seconds_ = nullptr;
  bool serving_ = false;
};

}  // namespace capsem::vsock
