// Where `capsem port` listens on the host: a TCP port of the loopback interface, or a Unix socket.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::client {

class HostListener {
 public:
  // At `where`: a port number (of 127.0.0.1; 0 for any that is free), ADDRESS:PORT with an address
  // of the loopback interface, or the path of a Unix socket, which has a '/'. Only this user's
  // processes may connect to that; one that nobody listens at any more is replaced. kInvalid for
  // anything else.
  static Result<HostListener> open(std::string_view where);
  HostListener(HostListener&& other) noexcept = default;
  HostListener& operator=(HostListener&&) = delete;
  // Takes a Unix socket away.
  ~HostListener();

  // The next connection that waits, if any.
  Result<Fd> accept() const;

  const Fd& socket() const { return socket_; }
  // "127.0.0.1:8080", with the port that it has; or the path.
  const std::string& name() const { return name_; }

 private:
  HostListener(Fd socket, std::string name, std::filesystem::path path)
      : socket_(std::move(socket)), name_(std::move(name)), path_(std::move(path)) {}
  static Result<HostListener> open_path(std::string_view where);
  static Result<HostListener> open_port(std::string_view where);

  Fd socket_;  // not blocking
  std::string name_;
  std::filesystem::path path_;  // of a Unix socket
};

}  // namespace capsem::client
