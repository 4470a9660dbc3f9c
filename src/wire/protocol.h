// The version of what capsem.proto describes, and what is said when two versions meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace capsem::wire {

// Grows by one with every change that the other side must know about.
inline constexpr std::uint32_t kProtocol = 6;

// How much standard input the host may send before the agent has granted any (StdinCredit).
inline constexpr std::size_t kStdinWindowBytes = 256 << 10;

// The most bytes that one Stdin, Stdout or Stderr carries.
inline constexpr std::size_t kDataBytes = 64 << 10;

inline constexpr std::size_t kMaxSessionIdBytes = 64;

// 1 to 64 letters, digits and hyphens.
bool is_session_id(std::string_view id);

// How much of a session's command the list of sessions has.
inline constexpr std::size_t kListedCommandBytes = 200;

// NAME, UID, NAME:GROUP or UID:GROUP, with no part empty.
bool is_user(std::string_view text);

// A side of a session that outlives its connection says what it has received (Received) whenever
// this much came since, and after the last message.
inline constexpr std::size_t kReceivedBytes = 64 << 10;

// One sentence for the user: which side speaks which version, and what usually helps.
std::string version_mismatch_text(std::uint32_t host_protocol, std::uint32_t guest_protocol);

}  // namespace capsem::wire
