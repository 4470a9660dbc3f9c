// Sockets inside the guest of the VM tests: one way to name vsock and TCP peers, and whole reads
// and writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace capsem::vsock {

// "vsock:PORT" is the host's vsock port, "tcp:PORT" the host's loopback port as QEMU's user-mode
// network shows it. An error carries errno's text.
Result<Fd> connect_to(const std::string& peer);

// Listens on a vsock port of the guest.
Result<Fd> listen_on(std::uint32_t port);

bool send_all(const Fd& socket, std::span<const std::byte> data);

// Fills `buffer` unless the peer ends first; how many bytes came, or nothing after an error.
std::optional<std::size_t> receive_all(const Fd& socket, std::span<std::byte> buffer);

// Up to the next newline, which is not part of it; nothing at the end.
std::optional<std::string> receive_line(const Fd& socket);

bool send_line(const Fd& socket, std::string_view line);

}  // namespace capsem::vsock
