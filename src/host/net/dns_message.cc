#include "host/net/dns_message.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "host/net/byte_reader.h"
#include "host/net/host_name.h"

namespace capsem::host::net {
namespace {

// Flags of the header, RFC 1035, 4.1.1, and RFC 4035.
constexpr std::uint16_t kResponse = 0x8000;            // QR
constexpr std::uint16_t kTruncated = 0x0200;           // TC
constexpr std::uint16_t kRecursionDesired = 0x0100;    // RD
constexpr std::uint16_t kRecursionAvailable = 0x0080;  // RA
constexpr std::uint16_t kCheckingDisabled = 0x0010;    // CD
constexpr unsigned kOpcodeShift = 11;
constexpr std::uint16_t kOpcodeMask = 0xF;
constexpr std::uint16_t kCodeMask = 0xF;
constexpr unsigned kCodeBits = 4;

constexpr std::uint16_t kInternet = 1;  // IN
constexpr std::uint16_t kHeaderBytes = 12;
constexpr std::uint16_t kPointer = 0xC000;
constexpr std::uint16_t kMaxPointer = 0x3FFF;
constexpr std::size_t kMaxLabelBytes = 63;  // RFC 1035, 2.3.4
constexpr std::size_t kMaxWireNameBytes = 255;

constexpr std::uint32_t kDnssecOk = 0x8000;
constexpr std::uint16_t kExtendedErrorOption = 15;
constexpr std::size_t kMaxExplanationBytes = 200;

// RFC 6891, 6.2.3: less than this counts as this. More than the second is not sent over UDP: it
// would be cut into fragments (RFC 9715).
constexpr std::size_t kSmallestUdpBytes = 512;
constexpr std::size_t kLargestUdpBytes = 1232;
constexpr std::size_t kTcpBytes = 65535;

// \DDD, RFC 1035, 5.1.
void append_escaped(std::string& name, unsigned byte) {
  name += '\\';
  for (unsigned unit : {100U, 10U, 1U}) name += static_cast<char>('0' + byte / unit % 10);
}

void append_label(std::string& name, std::span<const std::byte> label) {
  if (!name.empty()) name += '.';
  for (auto byte : label) {
    auto c = static_cast<char>(byte);
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (plain)
      name += c;
    else
      append_escaped(name, std::to_integer<unsigned>(byte));
  }
}

// A pointer has a length over that of a label as well: in the first name of a message there is
// nothing that it could point to.
bool read_name(ByteReader& reader, std::string& name) {
  std::size_t wire_bytes = 1;
  for (auto size = reader.u8(); size != 0; size = reader.u8()) {
    wire_bytes += 1U + size;
    if (size > kMaxLabelBytes || wire_bytes > kMaxWireNameBytes) return false;
    append_label(name, reader.bytes(size));
  }
  return reader.ok();
}

// The class; nothing when it cannot be read.
std::optional<std::uint16_t> read_question(ByteReader& reader, DnsQuery& query) {
  const auto begin = reader.rest();
  if (!read_name(reader, query.name)) return std::nullopt;
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): any number may be asked for
  query.type = static_cast<RecordType>(reader.u16());
  const auto record_class = reader.u16();
  if (!reader.ok()) return std::nullopt;
  const auto question = begin.first(begin.size() - reader.rest().size());
  query.question.assign(question.begin(), question.end());
  query.is_host_name = normal_host(query.name).has_value();
  return record_class;
}

// The version; nothing when it cannot be read. Options are skipped.
std::optional<std::uint8_t> read_edns(ByteReader& reader, DnsQuery& query) {
  const auto name = reader.u8();
  const auto type = reader.u16();
  Edns edns{.udp_bytes = reader.u16()};
  const auto ttl = reader.u32();  // extended code, version, flags
  edns.dnssec_ok = (ttl & kDnssecOk) != 0;
  auto options = reader.part16();
  while (options.ok() && !options.empty()) {
    options.u16();
    options.part16();
  }
  if (name != 0 || type != static_cast<std::uint16_t>(RecordType::kOpt) || !options.complete())
    return std::nullopt;
  query.edns = edns;
  return static_cast<std::uint8_t>(ttl >> 16);
}

class MessageWriter {
 public:
  void u8(std::size_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void u16(std::size_t value) {
    u8(value >> 8 & 0xFF);
    u8(value & 0xFF);
  }
  void u32(std::uint32_t value) {
    u16(value >> 16);
    u16(value & 0xFFFF);
  }
  void bytes(std::span<const std::byte> value) {
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  void text(std::string_view value) { bytes(std::as_bytes(std::span(value))); }
  void name(std::string_view value) {
    while (!value.empty()) {
      const auto label = value.substr(0, value.find('.'));
      u8(label.size());
      text(label);
      value.remove_prefix(std::min(value.size(), label.size() + 1));
    }
    u8(0);
  }
  std::size_t size() const { return bytes_.size(); }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class AnswerWriter {
 public:
  AnswerWriter(const DnsQuery& query, const DnsAnswer& answer) : query_(query), answer_(answer) {}

  std::vector<std::byte> write(bool truncated) {
    const std::size_t aliases = truncated ? 0 : std::min(answer_.aliases.size(), kMaxAliases);
    const auto addresses = truncated ? std::vector<Address>() : fitting_addresses();
    header(truncated, aliases + addresses.size());
    writer_.bytes(query_.question);
    for (std::size_t i = 0; i < aliases; ++i) alias(answer_.aliases[i]);
    for (const auto& address : addresses) record(address);
    if (query_.edns) edns(truncated);
    return writer_.take();
  }

 private:
  std::vector<Address> fitting_addresses() const {
    std::vector<Address> addresses;
    for (const auto& address : answer_.addresses) {
      const auto type = address.is_v4() ? RecordType::kA : RecordType::kAaaa;
      if (type == query_.type && addresses.size() < kMaxAddresses) addresses.push_back(address);
    }
    return addresses;
  }

  void header(bool truncated, std::size_t records) {
    auto code = static_cast<std::uint16_t>(answer_.code);
    std::size_t flags = kResponse | kRecursionAvailable | (code & kCodeMask);
    flags |= static_cast<std::size_t>(query_.opcode & kOpcodeMask) << kOpcodeShift;
    if (truncated) flags |= kTruncated;
    if (query_.recursion_desired) flags |= kRecursionDesired;
    if (query_.checking_disabled) flags |= kCheckingDisabled;
    writer_.u16(query_.id);
    writer_.u16(flags);
    writer_.u16(query_.question.empty() ? 0 : 1);
    writer_.u16(records);
    writer_.u16(0);
    writer_.u16(query_.edns ? 1 : 0);
  }

  // Owner, type, class and TTL of a record that belongs to the last name of the chain.
  void record_head(RecordType type) {
    writer_.u16(kPointer | owner_);
    writer_.u16(static_cast<std::uint16_t>(type));
    writer_.u16(kInternet);
    writer_.u32(answer_.ttl_seconds);
  }

  void alias(std::string_view target) {
    record_head(RecordType::kCname);
    writer_.u16(target.size() + 2);
    owner_ = static_cast<std::uint16_t>(std::min<std::size_t>(writer_.size(), kMaxPointer));
    writer_.name(target);
  }

  void record(const Address& address) {
    record_head(query_.type);
    if (address.is_v4()) {
      auto bytes = address.to_v4().to_bytes();
      writer_.u16(bytes.size());
      writer_.bytes(std::as_bytes(std::span(bytes)));
    } else {
      auto bytes = address.to_v6().to_bytes();
      writer_.u16(bytes.size());
      writer_.bytes(std::as_bytes(std::span(bytes)));
    }
  }

  void edns(bool truncated) {
    writer_.u8(0);
    writer_.u16(static_cast<std::uint16_t>(RecordType::kOpt));
    writer_.u16(kLargestUdpBytes);
    const auto extended_code = static_cast<std::uint32_t>(answer_.code) >> kCodeBits;
    writer_.u32(extended_code << 24 | (query_.edns->dnssec_ok ? kDnssecOk : 0));
    if (truncated || !answer_.explanation) return writer_.u16(0);
    const auto text = std::string_view(answer_.explanation->text).substr(0, kMaxExplanationBytes);
    writer_.u16(6 + text.size());
    writer_.u16(kExtendedErrorOption);
    writer_.u16(2 + text.size());
    writer_.u16(static_cast<std::uint16_t>(answer_.explanation->code));
    writer_.text(text);
  }

  const DnsQuery& query_;
  const DnsAnswer& answer_;
  MessageWriter writer_;
  std::uint16_t owner_ = kHeaderBytes;  // where the name of the question is
};

std::size_t largest_answer(const DnsQuery& query, Transport transport) {
  if (transport == Transport::kTcp) return kTcpBytes;
  if (!query.edns) return kSmallestUdpBytes;
  return std::clamp<std::size_t>(query.edns->udp_bytes, kSmallestUdpBytes, kLargestUdpBytes);
}

// What the header says; kNoError when a question that we answer follows.
ResponseCode read_body(ByteReader& reader, std::size_t size, bool truncated, DnsQuery& query) {
  const std::array counts{reader.u16(), reader.u16(), reader.u16(), reader.u16()};
  if (query.opcode != 0) return ResponseCode::kNotImplemented;
  const bool well_formed =
      counts[0] == 1 && counts[1] == 0 && counts[2] == 0 && counts[3] <= 1 && !truncated;
  if (!well_formed || size > kMaxQueryBytes) return ResponseCode::kFormatError;
  const auto record_class = read_question(reader, query);
  if (!record_class) return ResponseCode::kFormatError;
  std::optional<std::uint8_t> version = 0;
  if (counts[3] == 1) version = read_edns(reader, query);
  if (!version || !reader.complete()) return ResponseCode::kFormatError;
  if (*version != 0) return ResponseCode::kBadVersion;
  if (*record_class != kInternet) return ResponseCode::kRefused;
  return ResponseCode::kNoError;
}

}  // namespace

std::optional<DnsQuery> read_query(std::span<const std::byte> message) {
  if (message.size() < kHeaderBytes) return std::nullopt;
  ByteReader reader(message);
  DnsQuery query;
  query.id = reader.u16();
  const auto flags = reader.u16();
  if ((flags & kResponse) != 0) return std::nullopt;
  query.opcode = flags >> kOpcodeShift & kOpcodeMask;
  query.recursion_desired = (flags & kRecursionDesired) != 0;
  query.checking_disabled = (flags & kCheckingDisabled) != 0;
  query.problem = read_body(reader, message.size(), (flags & kTruncated) != 0, query);
  return query;
}

std::vector<std::byte> write_answer(const DnsQuery& query, const DnsAnswer& answer,
                                    Transport transport) {
  auto message = AnswerWriter(query, answer).write(false);
  if (message.size() <= largest_answer(query, transport)) return message;
  return AnswerWriter(query, answer).write(true);
}

}  // namespace capsem::host::net
