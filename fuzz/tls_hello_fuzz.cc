// The first bytes of a TLS client, at once and in pieces: both are understood in the same way, and
// what is told of them is as it should be.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "host/net/host_name.h"
#include "host/net/tls_hello.h"

namespace {

using namespace capsem::host::net;  // NOLINT(google-build-using-namespace): all fuzz target
using State = HelloReader::State;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1U + data[0];
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  HelloReader whole;
  whole.feed(bytes);
  HelloReader pieces;
  for (auto rest = bytes; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
    pieces.feed(rest.first(std::min(piece, rest.size())));
  require(whole.state() == pieces.state(), "another end in pieces");
  require(whole.reason() == pieces.reason(), "another reason in pieces");
  const auto& hello = whole.hello();
  require(hello.server_name == pieces.hello().server_name, "another name in pieces");
  require(hello.server_name.empty() || normal_host(hello.server_name) == hello.server_name,
          "a strange name");
  require((whole.state() == State::kMalformed) == !whole.reason().empty(), "a reason or none");
  if (whole.state() == State::kComplete) require(!hello.versions.empty(), "no version");
  if (whole.state() == State::kMalformed)
    require(hello.server_name.empty() && hello.protocols.empty(), "a part of what is malformed");
  return 0;
}
