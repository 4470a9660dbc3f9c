#include "wire/codec.h"

#include <algorithm>
#include <concepts>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>
#include <type_traits>
#include <utility>

#include "base/fd.h"
#include "wire/fields.h"
#include "wire/frame.h"

namespace capsem::wire {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::pbf_writer;

// What the input breaks, thrown as protozero's own errors are and caught with them in decode().
struct BrokenRule : protozero::exception {
  explicit BrokenRule(const char* rule_) : rule(rule_) {}
  const char* what() const noexcept override { return rule; }
  const char* rule;
};

template <class T>
concept Scalar = std::unsigned_integral<T> || std::is_enum_v<T>;

// ---- encoding: a default value is not written, as proto3 has it

template <class Message>
void put_fields(pbf_writer& writer, const Message& message);

template <Scalar T>
void put(pbf_writer& writer, std::uint32_t number, T value) {
  auto integer = static_cast<std::uint64_t>(value);
  if (integer != 0) writer.add_uint64(number, integer);
}

void put(pbf_writer& writer, std::uint32_t number, const std::string& value) {
  if (!value.empty()) writer.add_bytes(number, value);
}

void put(pbf_writer& writer, std::uint32_t number, const Digest& digest) {
  auto bytes = as_text(digest.bytes);
  writer.add_bytes(number, bytes.data(), bytes.size());
}

template <class Message>
  requires std::is_class_v<Message>
void put(pbf_writer& writer, std::uint32_t number, const Message& message) {
  // Not with a nested writer: that one leaves an empty message out.
  std::string body;
  pbf_writer nested(body);
  put_fields(nested, message);
  writer.add_message(number, body);
}

void put(pbf_writer& writer, std::uint32_t number, const std::optional<std::string>& value) {
  if (value) writer.add_bytes(number, *value);
}

template <class Message>
void put(pbf_writer& writer, std::uint32_t number, const std::optional<Message>& message) {
  if (message) put(writer, number, *message);
}

void put(pbf_writer& writer, std::uint32_t number, const std::vector<std::string>& values) {
  for (const auto& value : values) writer.add_bytes(number, value);
}

template <class Message>
void put(pbf_writer& writer, std::uint32_t number, const std::vector<Message>& messages) {
  for (const auto& message : messages) put(writer, number, message);
}

void put(pbf_writer& writer, std::uint32_t number, const Environment& environment) {
  for (const auto& [name, value] : environment) {
    std::string body;
    pbf_writer nested(body);
    put(nested, 1, name);
    put(nested, 2, value);
    writer.add_message(number, body);
  }
}

template <class Message>
void put_fields(pbf_writer& writer, const Message& message) {
  std::apply([&](const auto&... field) { (put(writer, field.number, message.*field.member), ...); },
             kFields<Message>);
}

// ---- decoding: the wire type is looked at before protozero, which only asserts it

template <class Message>
void take_fields(pbf_reader reader, Message& message);

void expect(const pbf_reader& reader, pbf_wire_type type) {
  if (reader.wire_type() != type) throw BrokenRule("a field has the wrong type");
}

template <Scalar T>
void take(pbf_reader& reader, T& value) {
  expect(reader, pbf_wire_type::varint);
  auto integer = reader.get_uint64();
  if constexpr (std::is_enum_v<T>) {
    if (integer > static_cast<std::uint64_t>(kLast<T>)) throw BrokenRule("a value is unknown");
  } else if constexpr (std::is_same_v<T, bool>) {
    if (integer > 1) throw BrokenRule("a flag is neither 0 nor 1");
  } else if (!std::in_range<T>(integer)) {
    throw BrokenRule("a number is too large");
  }
  value = static_cast<T>(integer);
}

void take(pbf_reader& reader, std::string& value) {
  expect(reader, pbf_wire_type::length_delimited);
  auto view = reader.get_view();
  value.assign(view.data(), view.size());
}

void take(pbf_reader& reader, Digest& digest) {
  expect(reader, pbf_wire_type::length_delimited);
  auto view = reader.get_view();
  auto bytes = as_bytes(std::string_view(view.data(), view.size()));
  if (bytes.size() != digest.bytes.size()) throw BrokenRule("a hash has the wrong length");
  std::ranges::copy(bytes, digest.bytes.begin());
}

template <class Message>
  requires std::is_class_v<Message>
void take(pbf_reader& reader, Message& message) {
  expect(reader, pbf_wire_type::length_delimited);
  take_fields(reader.get_message(), message);
}

template <class Value>
void take(pbf_reader& reader, std::optional<Value>& value) {
  if (!value) value.emplace();
  take(reader, *value);
}

template <class Value>
void take(pbf_reader& reader, std::vector<Value>& values) {
  take(reader, values.emplace_back());
}

void take(pbf_reader& reader, Environment& environment) {
  expect(reader, pbf_wire_type::length_delimited);
  pbf_reader variable = reader.get_message();
  std::string name;
  std::string value;
  while (variable.next()) {
    if (variable.tag() == 1)
      take(variable, name);
    else if (variable.tag() == 2)
      take(variable, value);
    else
      variable.skip();
  }
  environment.insert_or_assign(std::move(name), std::move(value));
}

// Field 1 of a message that begins with the protocol version. Zero when it does not begin so.
std::uint32_t protocol_of(pbf_reader reader) {
  if (!reader.next(1, pbf_wire_type::varint)) return 0;
  return reader.get_uint32();
}

template <class Message>
void take_fields(pbf_reader reader, Message& message) {
  if constexpr (requires { message.protocol; }) {
    message.protocol = protocol_of(reader);
    if (message.protocol != kProtocol) return;  // the rest may mean something else there
  }
  while (reader.next()) {
    auto take_if = [&](const auto& field) {
      if (field.number != reader.tag()) return false;
      take(reader, message.*field.member);
      return true;
    };
    bool known =
        std::apply([&](const auto&... field) { return (take_if(field) || ...); }, kFields<Message>);
    if (!known) reader.skip();
  }
}

// ---- envelopes

std::string over_limit(const Kind& kind, std::size_t size) {
  return std::to_string(size) + " bytes, more than the limit of " +
         std::to_string(kind.limit_bytes);
}

template <class Envelope, std::size_t... Index>
Envelope empty_message(std::size_t wanted, std::index_sequence<Index...>) {
  Envelope envelope;
  ((Index == wanted ? void(envelope.template emplace<Index>()) : void()), ...);
  return envelope;
}

template <class Envelope>
Envelope take_envelope(std::span<const std::byte> payload) {
  auto text = as_text(payload);
  pbf_reader reader(text.data(), text.size());
  if (!reader.next()) throw BrokenRule("it is empty");
  const auto& kinds = kKinds<Envelope>;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i].number != reader.tag()) continue;
    if (payload.size() > kinds[i].limit_bytes) throw BrokenRule("it is over its kind's limit");
    auto envelope = empty_message<Envelope>(i, std::make_index_sequence<kinds.size()>());
    std::visit([&](auto& message) { take(reader, message); }, envelope);
    if (reader.next()) throw BrokenRule("it holds more than one message");
    return envelope;
  }
  throw BrokenRule("its kind is unknown");
}

// Of a field that holds `size` bytes, which follow.
std::string begin_of(std::uint32_t number, std::size_t size) {
  constexpr unsigned kTypeBits = 3;
  std::string begin;
  protozero::add_varint_to_buffer(
      &begin, number << kTypeBits | static_cast<std::uint32_t>(pbf_wire_type::length_delimited));
  protozero::add_varint_to_buffer(&begin, size);
  return begin;
}

}  // namespace

template <class Envelope>
Result<std::string> encode(const Envelope& message) {
  static_assert(std::variant_size_v<Envelope> == kKinds<Envelope>.size());
  const Kind& kind = kKinds<Envelope>.at(message.index());
  std::string frame(kPrefixBytes, '\0');
  {
    pbf_writer writer(frame);
    std::visit([&](const auto& body) { put(writer, kind.number, body); }, message);
  }
  std::size_t size = frame.size() - kPrefixBytes;
  if (size > kind.limit_bytes)
    return fail("send", "a " + std::string(kind.name) + " message", over_limit(kind, size), "",
                ErrorKind::kInvalid);
  auto prefix = prefix_of(static_cast<std::uint32_t>(size));
  frame.replace(0, prefix.size(), prefix.data(), prefix.size());
  return frame;
}

std::string output_header(OutputStream stream, std::size_t size) {
  auto message_kind = stream == OutputStream::kStdout ? GuestSession(Stdout{}).index()
                                                      : GuestSession(Stderr{}).index();
  auto data = begin_of(std::get<0>(kFields<Stdout>).number, size);
  auto message = begin_of(kKinds<GuestSession>.at(message_kind).number, data.size() + size);
  auto prefix = prefix_of(static_cast<std::uint32_t>(message.size() + data.size() + size));
  return std::string(prefix.data(), prefix.size()) + message + data;
}

template <class Envelope>
Result<Envelope> decode(std::span<const std::byte> payload) {
  try {
    return take_envelope<Envelope>(payload);
  } catch (const protozero::exception& broken) {
    return fail("read", "a message", broken.what(), "", ErrorKind::kInvalid);
  }
}

template Result<std::string> encode(const GuestControl&);
template Result<std::string> encode(const HostControl&);
template Result<std::string> encode(const GuestLifecycle&);
template Result<std::string> encode(const HostLifecycle&);
template Result<std::string> encode(const GuestNet&);
template Result<std::string> encode(const GuestDns&);
template Result<std::string> encode(const HostDns&);
template Result<std::string> encode(const GuestSession&);
template Result<std::string> encode(const HostSession&);
template Result<std::string> encode(const GuestTransfer&);
template Result<std::string> encode(const HostTransfer&);
template Result<std::string> encode(const GuestDeploy&);
template Result<std::string> encode(const HostDeploy&);
template Result<GuestControl> decode(std::span<const std::byte>);
template Result<HostControl> decode(std::span<const std::byte>);
template Result<GuestLifecycle> decode(std::span<const std::byte>);
template Result<HostLifecycle> decode(std::span<const std::byte>);
template Result<GuestNet> decode(std::span<const std::byte>);
template Result<GuestDns> decode(std::span<const std::byte>);
template Result<HostDns> decode(std::span<const std::byte>);
template Result<GuestSession> decode(std::span<const std::byte>);
template Result<HostSession> decode(std::span<const std::byte>);
template Result<GuestTransfer> decode(std::span<const std::byte>);
template Result<HostTransfer> decode(std::span<const std::byte>);
template Result<GuestDeploy> decode(std::span<const std::byte>);
template Result<HostDeploy> decode(std::span<const std::byte>);

}  // namespace capsem::wire
