// DNS messages (RFC 1035, section 4), as far as saying that a query cannot be answered needs them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace capsem::guest::net_proxy {

inline constexpr std::size_t kMaxUdpQueryBytes = 1232;  // what resolvers send at most (RFC 9715)

// The answer "server failure" to a query: its header and question with the response bit and RCODE
// 2. Nothing for what is not a well-formed standard query of one question; such a message gets no
// answer, since its sender cannot be trusted to know what one is.
std::optional<std::vector<std::byte>> server_failure(std::span<const std::byte> query);

}  // namespace capsem::guest::net_proxy
