// Addresses and networks: their strict spelling, and which of them lie where nobody on the Internet
// does. A name that resolves to such an address is not connected to, whatever the rules say of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/net/flow.h"

namespace capsem::host::net {

// The address in its one usual spelling: four decimal numbers without leading zeros, or RFC 4291's
// text without a zone. Nothing for all else that some library takes for an address.
std::optional<Address> parse_address(std::string_view text);

// ::ffff:192.0.2.1 (RFC 4291, 2.5.5.2) is connected to as 192.0.2.1, so that is what it is here.
Address plain(const Address& address);

using AddressBytes = std::array<std::uint8_t, 16>;  // IPv4 in the first four, then zeros
AddressBytes bytes_of(const Address& address);
Address address_of(const AddressBytes& bytes, bool v4);
// The first `length` bits, zeros after them.
AddressBytes masked(AddressBytes bytes, unsigned length);

inline unsigned bits_of(const Address& address) {
  return address.is_v4() ? 32 : 128;
}

// One address (with all its bits) or a range of them, as in 10.0.0.0/8.
struct Network {
  Address address;
  unsigned length = 0;

  static Network one(const Address& address) { return {address, bits_of(address)}; }
  bool single() const { return length == bits_of(address); }
  bool contains(const Address& other) const;
  std::string text() const;
  bool operator==(const Network&) const = default;
};

enum class AddressClass {
  kPublic,
  kUnspecified,
  kLoopback,
  kPrivate,
  kLinkLocal,
  kCarrier,   // RFC 6598
  kMetadata,  // of a cloud's machine: what it is, and often its keys
  kMulticast,
  kBroadcast,
  kReserved,  // documentation, benchmarks, and all that nobody was given
};

// Seen through what carries an IPv4 address in an IPv6 one.
AddressClass address_class(const Address& address);
std::string_view name(AddressClass of);

// The IPv4 address that an IPv6 one carries, which is then what is reached.
std::optional<Address> carried_address(const Address& address);

// How long a network has to be to stand for this address: only for one that is not public more than
// 0, so that 0.0.0.0/0 opens the Internet and not the host's own network.
unsigned least_length(const Address& address);

}  // namespace capsem::host::net
