// The first message of a connection, read so that what follows stays in the stream.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/network.h"

namespace capsem::host::net {

// The payload of one frame (wire/frame.h). kInvalid for one that is over `limit_bytes`, kClosed
// when the stream ends before.
Task<Result<std::vector<std::byte>>> read_frame(async::Stream& stream, std::size_t limit_bytes);

// 4 or 16 bytes in network order.
std::optional<Address> address_of_bytes(std::string_view bytes);

}  // namespace capsem::host::net
