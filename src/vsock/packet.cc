#include "vsock/packet.h"

#include <bit>
#include <cstring>

namespace capsem::vsock {
namespace {

static_assert(std::endian::native == std::endian::little, "virtio fields are little-endian");

template <class T>
void take(const std::byte*& from, T& field) {
  std::memcpy(&field, from, sizeof field);
  from += sizeof field;
}

template <class T>
void put(std::byte*& to, const T& field) {
  std::memcpy(to, &field, sizeof field);
  to += sizeof field;
}

// The one list of the fields in their order (struct virtio_vsock_hdr).
template <class HeaderType, class Visitor>
void for_each_field(HeaderType& header, Visitor visit) {
  visit(header.source_cid);
  visit(header.destination_cid);
  visit(header.source_port);
  visit(header.destination_port);
  visit(header.payload_bytes);
  visit(header.type);
  visit(header.op);
  visit(header.flags);
  visit(header.buffer_bytes);
  visit(header.forwarded_bytes);
}

}  // namespace

Header decode(std::span<const std::byte, kHeaderBytes> bytes) {
  Header header;
  const std::byte* from = bytes.data();
  for_each_field(header, [&](auto& field) { take(from, field); });
  return header;
}

std::array<std::byte, kHeaderBytes> encode(const Header& header) {
  std::array<std::byte, kHeaderBytes> bytes{};
  std::byte* to = bytes.data();
  for_each_field(header, [&](const auto& field) { put(to, field); });
  return bytes;
}

}  // namespace capsem::vsock
