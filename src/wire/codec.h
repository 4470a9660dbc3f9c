// Messages to bytes and back: protobuf in length-prefixed frames, as capsem.proto defines them.
// `Envelope` is one of GuestControl, HostControl, GuestLifecycle, HostLifecycle, GuestNet,
// GuestDns, HostDns, GuestSession, HostSession, GuestTransfer, HostTransfer, GuestDeploy and
// HostDeploy.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/error.h"
#include "wire/messages.h"

namespace capsem::wire {

// The whole frame of `message`, length included, ready to be written to a stream. A message over
// its kind's limit is an error (kInvalid); nothing of it may be sent then.
template <class Envelope>
Result<std::string> encode(const Envelope& message);

// The first bytes of the frame of a Stdout or Stderr message with `size` bytes of data, at most
// kDataBytes, which are the rest of it: for data that is not to be copied into a message first.
std::string output_header(OutputStream stream, std::size_t size);

// The message in a frame's `payload`. Anything but exactly one message of a known kind, whole and
// within its limit, is an error (kInvalid). Unknown fields inside a message are passed over.
template <class Envelope>
Result<Envelope> decode(std::span<const std::byte> payload);

extern template Result<std::string> encode(const GuestControl&);
extern template Result<std::string> encode(const HostControl&);
extern template Result<std::string> encode(const GuestLifecycle&);
extern template Result<std::string> encode(const HostLifecycle&);
extern template Result<std::string> encode(const GuestNet&);
extern template Result<std::string> encode(const GuestDns&);
extern template Result<std::string> encode(const HostDns&);
extern template Result<std::string> encode(const GuestSession&);
extern template Result<std::string> encode(const HostSession&);
extern template Result<std::string> encode(const GuestTransfer&);
extern template Result<std::string> encode(const HostTransfer&);
extern template Result<std::string> encode(const GuestDeploy&);
extern template Result<std::string> encode(const HostDeploy&);
extern template Result<GuestControl> decode(std::span<const std::byte>);
extern template Result<HostControl> decode(std::span<const std::byte>);
extern template Result<GuestLifecycle> decode(std::span<const std::byte>);
extern template Result<HostLifecycle> decode(std::span<const std::byte>);
extern template Result<GuestNet> decode(std::span<const std::byte>);
extern template Result<GuestDns> decode(std::span<const std::byte>);
extern template Result<HostDns> decode(std::span<const std::byte>);
extern template Result<GuestSession> decode(std::span<const std::byte>);
extern template Result<HostSession> decode(std::span<const std::byte>);
extern template Result<GuestTransfer> decode(std::span<const std::byte>);
extern template Result<HostTransfer> decode(std::span<const std::byte>);
extern template Result<GuestDeploy> decode(std::span<const std::byte>);
extern template Result<HostDeploy> decode(std::span<const std::byte>);

}  // namespace capsem::wire
