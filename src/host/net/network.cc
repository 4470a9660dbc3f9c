#include "host/net/network.h"

#include <algorithm>
#include <span>

namespace capsem::host::net {
namespace {

namespace ip = boost::asio::ip;

// Written as text, looked at as bytes.
struct Prefix {
  AddressBytes bytes;
  unsigned length;

  Prefix(const char* address, unsigned bits)
      : bytes(bytes_of(ip::make_address(address))), length(bits) {}
  bool holds(const AddressBytes& other) const { return masked(other, length) == bytes; }
};

struct Special {
  Prefix prefix;
  AddressClass is;

  Special(const char* address, unsigned length, AddressClass of)
      : prefix(address, length), is(of) {}
};

// Of both tables the first row that contains the address counts. IANA's registries of
// special-purpose addresses, and where clouds have their metadata.
std::span<const Special> special_v4() {
  static const std::array kRows = {
      Special{"0.0.0.0", 32, AddressClass::kUnspecified},
      Special{"0.0.0.0", 8, AddressClass::kReserved},           // "this network", RFC 791
      Special{"10.0.0.0", 8, AddressClass::kPrivate},           // RFC 1918
      Special{"100.100.100.200", 32, AddressClass::kMetadata},  // Alibaba
      Special{"100.64.0.0", 10, AddressClass::kCarrier},
      Special{"127.0.0.0", 8, AddressClass::kLoopback},
      Special{"168.63.129.16", 32, AddressClass::kMetadata},  // Azure's wire server
      Special{"169.254.169.254", 32, AddressClass::kMetadata},
      Special{"169.254.0.0", 16, AddressClass::kLinkLocal},
      Special{"172.16.0.0", 12, AddressClass::kPrivate},
      Special{"192.0.0.192", 32, AddressClass::kMetadata},  // Oracle
      Special{"192.0.0.0", 24, AddressClass::kReserved},    // RFC 6890
      Special{"192.0.2.0", 24, AddressClass::kReserved},    // documentation
      Special{"192.88.99.0", 24, AddressClass::kReserved},  // 6to4 relays
      Special{"192.168.0.0", 16, AddressClass::kPrivate},
      Special{"198.18.0.0", 15, AddressClass::kReserved},    // benchmarks
      Special{"198.51.100.0", 24, AddressClass::kReserved},  // documentation
      Special{"203.0.113.0", 24, AddressClass::kReserved},   // documentation
      Special{"224.0.0.0", 4, AddressClass::kMulticast},
      Special{"255.255.255.255", 32, AddressClass::kBroadcast},
      Special{"240.0.0.0", 4, AddressClass::kReserved},
  };
  return kRows;
}

std::span<const Special> special_v6() {
  static const std::array kRows = {
      Special{"::", 128, AddressClass::kUnspecified},
      Special{"::1", 128, AddressClass::kLoopback},
      Special{"64:ff9b:1::", 48, AddressClass::kPrivate},      // NAT64 of a site, RFC 8215
      Special{"100::", 64, AddressClass::kReserved},           // discard
      Special{"2001::", 23, AddressClass::kReserved},          // protocols of the IETF
      Special{"2001:db8::", 32, AddressClass::kReserved},      // documentation
      Special{"3fff::", 20, AddressClass::kReserved},          // documentation
      Special{"fd00:ec2::254", 128, AddressClass::kMetadata},  // Amazon
      Special{"fd20:ce::254", 128, AddressClass::kMetadata},   // Google
      Special{"fc00::", 7, AddressClass::kPrivate},            // RFC 4193
      Special{"fe80::", 10, AddressClass::kLinkLocal},
      Special{"fec0::", 10, AddressClass::kPrivate},  // site-local, RFC 3879
      Special{"ff00::", 8, AddressClass::kMulticast},
  };
  return kRows;
}

// Where an IPv6 address carries one of IPv4, which is then what is reached.
struct Carrier {
  Prefix prefix;
  std::size_t at;       // the first of the four bytes
  std::uint8_t mask;    // each byte is seen through this
  AddressClass others;  // of the IPv6 address when the one of IPv4 is public
};

std::span<const Carrier> carriers() {
  static const std::array kRows = {
      // Without :: and ::1. IPv4-compatible, RFC 4291, 2.5.5.1.
      Carrier{{"::", 96}, 12, 0, AddressClass::kReserved},
      Carrier{{"::ffff:0:0:0", 96}, 12, 0, AddressClass::kReserved},  // IPv4-translated, RFC 2765
      Carrier{{"64:ff9b::", 96}, 12, 0, AddressClass::kPublic},       // NAT64, RFC 6052
      Carrier{{"2002::", 16}, 2, 0, AddressClass::kPublic},           // 6to4, RFC 3056
      Carrier{{"2001::", 32}, 12, 0xff, AddressClass::kReserved},     // Teredo's client, RFC 4380
  };
  return kRows;
}

// All that is public so far; the rest of IPv6 nobody was given.
bool is_global_v6(const AddressBytes& bytes) {
  constexpr unsigned kTopBits = 0xe0;
  constexpr unsigned kTwo = 0x20;
  return (bytes.front() & kTopBits) == kTwo;  // 2000::/3
}
constexpr unsigned kLeastOfOtherV6 = 8;

struct Found {
  AddressClass is = AddressClass::kPublic;
  unsigned length = 0;
};

std::optional<Found> find(std::span<const Special> rows, const AddressBytes& bytes) {
  for (const auto& row : rows)
    if (row.prefix.holds(bytes)) return Found{row.is, row.prefix.length};
  return std::nullopt;
}

Found classify(const Address& given);

const Carrier* carrier_of(const AddressBytes& bytes) {
  for (const auto& row : carriers())
    if (row.prefix.holds(bytes)) return &row;
  return nullptr;
}

Address carried_by(const Carrier& row, const AddressBytes& bytes) {
  ip::address_v4::bytes_type inner;
  for (std::size_t i = 0; i < inner.size(); ++i)
    inner.at(i) = static_cast<std::uint8_t>(bytes.at(row.at + i) ^ row.mask);
  return ip::address_v4(inner);
}

std::optional<Found> carried(const AddressBytes& bytes) {
  const auto* row = carrier_of(bytes);
  if (row == nullptr) return std::nullopt;
  auto is = classify(carried_by(*row, bytes)).is;
  return Found{is == AddressClass::kPublic ? row->others : is, row->prefix.length};
}

Found classify(const Address& given) {
  auto address = plain(given);
  auto bytes = bytes_of(address);
  if (address.is_v4()) return find(special_v4(), bytes).value_or(Found{});
  auto is_one_of_two = address.is_unspecified() || address.is_loopback();
  if (!is_one_of_two)
    if (auto found = carried(bytes)) return *found;
  if (auto found = find(special_v6(), bytes)) return *found;
  if (is_global_v6(bytes)) return {};
  return {AddressClass::kReserved, kLeastOfOtherV6};
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  constexpr std::size_t kLongest = 45;
  if (text.empty() || text.size() > kLongest || text.find('%') != std::string_view::npos ||
      text.find('\0') != std::string_view::npos)
    return std::nullopt;
  boost::system::error_code error;
  auto address = ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  // The library follows inet_pton(3), which some systems let take more.
  if (address.is_v4() && address.to_string() != text) return std::nullopt;
  return address;
}

Address plain(const Address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

AddressBytes bytes_of(const Address& address) {
  AddressBytes bytes{};
  if (address.is_v4())
    std::ranges::copy(address.to_v4().to_bytes(), bytes.begin());
  else
    std::ranges::copy(address.to_v6().to_bytes(), bytes.begin());
  return bytes;
}

Address address_of(const AddressBytes& bytes, bool v4) {
  if (v4) return ip::address_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  return ip::address_v6(bytes);
}

AddressBytes masked(AddressBytes bytes, unsigned length) {
  constexpr unsigned kByte = 8;
  for (unsigned i = 0; i < bytes.size(); ++i) {
    unsigned kept = std::min(kByte, length > i * kByte ? length - i * kByte : 0);
    bytes.at(i) = static_cast<std::uint8_t>(bytes.at(i) & (0xff00U >> kept));
  }
  return bytes;
}

bool Network::contains(const Address& other) const {
  return other.is_v4() == address.is_v4() && masked(bytes_of(other), length) == bytes_of(address);
}

std::string Network::text() const {
  return address.to_string() + (single() ? "" : "/" + std::to_string(length));
}

AddressClass address_class(const Address& address) {
  return classify(address).is;
}

std::optional<Address> carried_address(const Address& given) {
  auto address = plain(given);
  if (address.is_v4()) return given.is_v4() ? std::nullopt : std::optional(address);
  const bool is_one_of_two = address.is_unspecified() || address.is_loopback();
  const auto bytes = bytes_of(address);
  const auto* row = is_one_of_two ? nullptr : carrier_of(bytes);
  return row == nullptr ? std::nullopt : std::optional(carried_by(*row, bytes));
}

unsigned least_length(const Address& address) {
  auto found = classify(address);
  return found.is == AddressClass::kPublic ? 0 : found.length;
}

std::string_view name(AddressClass of) {
  switch (of) {
    case AddressClass::kPublic:
      return "public";
    case AddressClass::kUnspecified:
      return "unspecified";
    case AddressClass::kLoopback:
      return "loopback";
    case AddressClass::kPrivate:
      return "private";
    case AddressClass::kLinkLocal:
      return "link-local";
    case AddressClass::kCarrier:
      return "carrier";
    case AddressClass::kMetadata:
      return "metadata";
    case AddressClass::kMulticast:
      return "multicast";
    case AddressClass::kBroadcast:
      return "broadcast";
    case AddressClass::kReserved:
      return "reserved";
  }
  return "reserved";
}

}  // namespace capsem::host::net
