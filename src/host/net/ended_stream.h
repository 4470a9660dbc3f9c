// A stream whose peer is known to have ended its side, and is not asked for it again.
#pragma once

#include "host/net/stream_over.h"

namespace capsem::host::net {

class EndedStream final : public StreamOver {
 public:
  using StreamOver::StreamOver;

  Task<Result<std::size_t>> read_some(std::span<std::byte>) override { co_return std::size_t{0}; }
};

}  // namespace capsem::host::net
