// DNS messages (RFC 1035, EDNS of RFC 6891): reads a question of the guest and writes our answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/net/flow.h"

namespace capsem::host::net {

enum class RecordType : std::uint16_t {  // any other number may come as well
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kSvcb = 64,   // RFC 9460
  kHttps = 65,  // the same
  kAny = 255,
};

enum class ResponseCode : std::uint16_t {
  kNoError = 0,
  kFormatError = 1,     // FORMERR
  kServerFailure = 2,   // SERVFAIL
  kNameError = 3,       // NXDOMAIN
  kNotImplemented = 4,  // NOTIMP
  kRefused = 5,         // REFUSED
  kBadVersion = 16,     // BADVERS, of EDNS
};

// Why, for a person who asks with dig(1): RFC 8914.
enum class ExtendedError : std::uint16_t {
  kBlocked = 15,
  kFiltered = 17,
  kProhibited = 18,
  kNoReachableAuthority = 22,
};

enum class Transport { kUdp, kTcp };

struct Edns {
  std::uint16_t udp_bytes = 0;  // the largest answer that the client takes over UDP
  bool dnssec_ok = false;
};

struct DnsQuery {
  std::uint16_t id = 0;
  std::uint8_t opcode = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;
  // In lower case, without a dot at the end; bytes that no host name has as \DDD.
  std::string name;
  bool is_host_name = false;  // as normal_host() has it
  RecordType type{};
  std::vector<std::byte> question;  // as it came, for the answer: clients compare the case
  std::optional<Edns> edns;
  // kNoError, or the one answer that there is to this query, of which not all was read.
  ResponseCode problem = ResponseCode::kNoError;
};

// A longer query is a FORMERR: name and EDNS header need less than 300 bytes, options little more.
constexpr std::size_t kMaxQueryBytes = 4096;

// Nothing for what must not be answered: less than a header, or an answer itself.
std::optional<DnsQuery> read_query(std::span<const std::byte> message);

struct DnsAnswer {
  ResponseCode code = ResponseCode::kNoError;
  // Host names, each what the one before leads to (CNAME), beginning with that of the query.
  std::vector<std::string> aliases;
  std::vector<Address> addresses;  // those that are not of the query's type are left out
  std::uint32_t ttl_seconds = 0;
  struct Explanation {
    ExtendedError code{};
    std::string text;
  };
  std::optional<Explanation> explanation;  // sent when the query has EDNS
};

// What an answer holds at most, so that it always has room in a message over TCP.
constexpr std::size_t kMaxAliases = 16;
constexpr std::size_t kMaxAddresses = 128;

// An answer without records and with the TC bit when it does not fit what the client takes over
// UDP; the client asks again over TCP. Answers carry no SOA record, so that nobody remembers a "no"
// beyond a change of the policy.
std::vector<std::byte> write_answer(const DnsQuery& query, const DnsAnswer& answer,
                                    Transport transport);

}  // namespace capsem::host::net
