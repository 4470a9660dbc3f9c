// Reads the first message of a TLS client (RFC 8446, 4.1.2), of which the policy needs the server
// name. The client is the guest's: what two readers could understand in two ways is malformed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace capsem::host::net {

struct ClientHello {
  std::string server_name;              // in lower case; empty when the client gave none
  std::vector<std::string> protocols;   // ALPN (RFC 7301), first the one that is wanted most
  std::vector<std::uint16_t> versions;  // offered, 0x0304 is TLS 1.3
  bool encrypted_hello = false;  // ECH or its forerunner; the name of the true hello is hidden
  bool early_data = false;       // a request may follow before the server has said anything
};

class HelloReader {
 public:
  // Of records as they come, so also of what a hello within it may have.
  static constexpr std::size_t kMaxHelloBytes = 64 << 10;

  enum class State {
    kIncomplete,
    kNotTls,     // from the first bytes
    kMalformed,  // reason() says why
    kComplete,   // hello() is whole
  };

  // Takes what has come next. Nothing changes any more once the state is not kIncomplete.
  State feed(std::span<const std::byte> bytes);

  State state() const { return state_; }
  const ClientHello& hello() const { return hello_; }
  std::string_view reason() const { return reason_; }
  // All that was fed, for whom it is to be sent on to; in the end with what came behind the hello.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  State read_records();
  State read_record(std::span<const std::byte> fragment);
  State malformed(std::string_view reason);

  std::vector<std::byte> bytes_;
  std::size_t next_record_ = 0;     // its place in bytes_
  std::vector<std::byte> message_;  // put together from records
  State state_ = State::kIncomplete;
  std::string_view reason_;
  ClientHello hello_;
};

}  // namespace capsem::host::net
