// Bytes from a stranger into every decoder of src/wire, in pieces as a stream delivers them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "wire/codec.h"
#include "wire/frame.h"

namespace {

using capsem::wire::MessageDecoder;

// What was accepted must survive being sent again: the same message comes back.
template <class Envelope>
void check_again(const Envelope& message) {
  auto frame = capsem::wire::encode(message);
  if (!frame) return;  // larger when written out: repeated fields that were merged, for instance
  auto payload = std::as_bytes(std::span(*frame)).subspan(capsem::wire::kPrefixBytes);
  auto again = capsem::wire::decode<Envelope>(payload);
  if (!again || *again != message) std::abort();
}

template <class Envelope>
void feed(std::span<const std::byte> input, std::size_t piece) {
  MessageDecoder<Envelope> decoder;
  while (!input.empty()) {
    auto part = input.first(std::min(piece, input.size()));
    input = input.subspan(part.size());
    auto room = decoder.prepare(part.size());
    std::ranges::copy(part, room.begin());
    decoder.commit(part.size());
    for (;;) {
      auto message = decoder.next();
      if (!message) return;
      if (!*message) break;
      check_again(**message);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  auto input = std::as_bytes(std::span(data, size));
  std::size_t piece = 1 + data[0] % 64;
  input = input.subspan(1);
  feed<capsem::wire::GuestControl>(input, piece);
  feed<capsem::wire::HostControl>(input, piece);
  feed<capsem::wire::GuestLifecycle>(input, piece);
  feed<capsem::wire::GuestNet>(input, piece);
  feed<capsem::wire::GuestDns>(input, piece);
  feed<capsem::wire::HostDns>(input, piece);
  feed<capsem::wire::HostLifecycle>(input, piece);
  feed<capsem::wire::GuestSession>(input, piece);
  feed<capsem::wire::HostSession>(input, piece);
  feed<capsem::wire::GuestTransfer>(input, piece);
  feed<capsem::wire::HostTransfer>(input, piece);
  feed<capsem::wire::GuestDeploy>(input, piece);
  feed<capsem::wire::HostDeploy>(input, piece);
  return 0;
}
