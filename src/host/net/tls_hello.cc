#include "host/net/tls_hello.h"

#include <algorithm>
#include <array>
#include <expected>
#include <utility>

#include "host/net/byte_reader.h"
#include "host/net/host_name.h"

namespace capsem::host::net {
namespace {

constexpr std::size_t kRecordHeaderBytes = 5;
constexpr std::uint16_t kMaxFragmentBytes = 1 << 14;
constexpr std::size_t kMessageHeaderBytes = 4;
constexpr std::byte kHandshake{22};
constexpr std::byte kMajorVersion{3};
constexpr std::uint8_t kClientHello = 1;
constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kMaxSessionIdBytes = 32;
constexpr std::uint8_t kHostName = 0;  // RFC 6066, 3

// RFC 8446, 4.2
constexpr std::uint16_t kPreSharedKey = 41;

using Fault = std::string_view;  // empty when there is none

Fault read_server_name(ByteReader reader, ClientHello& hello) {
  auto list = reader.part16();
  const auto type = list.u8();
  const auto name = list.part16();
  if (!name.ok() || !reader.complete()) return "its server name is cut short or too long";
  if (type != kHostName) return "its server name is of an unknown type";
  if (!list.empty()) return "it has several server names";
  const auto bytes = name.rest();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto host = normal_host(text);
  // RFC 6066, section 3: "without a trailing dot".
  if (!host || text.ends_with('.')) return "its server name is no host name";
  hello.server_name = std::move(*host);
  return {};
}

Fault read_protocols(ByteReader reader, ClientHello& hello) {
  auto list = reader.part16();
  if (!reader.complete() || list.empty()) return "its list of protocols is empty or cut short";
  while (!list.empty()) {
    const auto name = list.part8();
    if (!list.ok() || name.empty()) return "its list of protocols is empty or cut short";
    const auto bytes = name.rest();
    hello.protocols.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return {};
}

Fault read_versions(ByteReader reader, ClientHello& hello) {
  auto list = reader.part8();
  if (!reader.complete() || list.empty() || list.rest().size() % 2 != 0)
    return "its list of versions is empty or cut short";
  hello.versions.clear();  // the one of the message's own field
  while (!list.empty()) hello.versions.push_back(list.u16());
  return {};
}

Fault read_early_data(ByteReader reader, ClientHello& hello) {
  hello.early_data = true;
  return reader.empty() ? Fault() : "its early data extension is not empty";
}

Fault read_encrypted_hello(ByteReader, ClientHello& hello) {
  hello.encrypted_hello = true;
  return {};
}

struct ExtensionRow {
  std::uint16_t type;
  Fault (*read)(ByteReader reader, ClientHello& hello);
};

constexpr std::array kExtensions{
    ExtensionRow{0, read_server_name},           // server_name
    ExtensionRow{16, read_protocols},            // application_layer_protocol_negotiation
    ExtensionRow{42, read_early_data},           // early_data
    ExtensionRow{43, read_versions},             // supported_versions
    ExtensionRow{0xFE0D, read_encrypted_hello},  // encrypted_client_hello
    ExtensionRow{0xFFCE, read_encrypted_hello},  // encrypted_server_name, before ECH
};

Fault read_extensions(ByteReader reader, ClientHello& hello) {
  std::vector<std::uint16_t> seen;
  while (!reader.empty()) {
    const auto type = reader.u16();
    const auto content = reader.part16();
    if (!reader.ok()) return "its extensions are cut short";
    if (!seen.empty() && seen.back() == kPreSharedKey) return "an extension follows the last one";
    seen.push_back(type);
    const auto* row = std::ranges::find(kExtensions, type, &ExtensionRow::type);
    if (row == kExtensions.end()) continue;
    if (auto fault = row->read(content, hello); !fault.empty()) return fault;
  }
  std::ranges::sort(seen);
  if (std::ranges::adjacent_find(seen) != seen.end()) return "it has an extension twice";
  return {};
}

Fault read_hello(ByteReader reader, ClientHello& hello) {
  const auto version = reader.u16();
  reader.bytes(kRandomBytes);
  const auto session_id = reader.part8().rest().size();
  const auto ciphers = reader.part16().rest().size();
  const auto compressions = reader.part8().rest().size();
  if (!reader.ok()) return "it is cut short";
  if (version >> 8 != 3 || session_id > kMaxSessionIdBytes || ciphers == 0 || ciphers % 2 != 0 ||
      compressions == 0)
    return "one of its fields is out of range";
  hello.versions = {version};
  if (reader.empty()) return {};
  auto extensions = reader.part16();
  if (!reader.complete()) return "its extensions are cut short, or something follows them";
  return read_extensions(extensions, hello);
}

}  // namespace

HelloReader::State HelloReader::feed(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  if (state_ == State::kIncomplete) state_ = read_records();
  return state_;
}

HelloReader::State HelloReader::malformed(std::string_view reason) {
  reason_ = reason;
  hello_ = {};
  return State::kMalformed;
}

HelloReader::State HelloReader::read_records() {
  for (;;) {
    const auto rest = std::span(bytes_).subspan(next_record_);
    const bool first = next_record_ == 0;
    const bool strange =
        (!rest.empty() && rest[0] != kHandshake) || (rest.size() > 1 && rest[1] != kMajorVersion);
    if (strange) return first ? State::kNotTls : malformed("another record is within it");
    ByteReader reader(rest);
    reader.bytes(kRecordHeaderBytes - 2);
    const auto size = reader.u16();
    if (!reader.ok()) break;
    if (size == 0 || size > kMaxFragmentBytes)
      return malformed("a record of it is empty or too long");
    if (next_record_ + kRecordHeaderBytes + size > kMaxHelloBytes)
      return malformed("it is too long");
    const auto fragment = reader.bytes(size);
    if (!reader.ok()) break;
    next_record_ += kRecordHeaderBytes + size;
    if (auto state = read_record(fragment); state != State::kIncomplete) return state;
  }
  return bytes_.size() < kMaxHelloBytes ? State::kIncomplete : malformed("it is too long");
}

HelloReader::State HelloReader::read_record(std::span<const std::byte> fragment) {
  message_.insert(message_.end(), fragment.begin(), fragment.end());
  ByteReader reader(message_);
  if (reader.u8() != kClientHello) return malformed("its first message is no hello");
  const std::size_t size = reader.u24();
  if (!reader.ok()) return State::kIncomplete;
  if (size > kMaxHelloBytes) return malformed("it is too long");
  if (message_.size() < kMessageHeaderBytes + size) return State::kIncomplete;
  if (message_.size() > kMessageHeaderBytes + size)
    return malformed("another message follows it in its record");
  const auto fault = read_hello(ByteReader(reader.rest()), hello_);
  return fault.empty() ? State::kComplete : malformed(fault);
}

}  // namespace capsem::host::net
