// A QEMU out of order: any vhost-user messages, with and without descriptors, whole and in pieces.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdint>

#include "fuzz/vsock_front_end.h"

namespace {

constexpr std::size_t kMaxMessages = 32;
constexpr std::uint64_t kFeatures = 1ULL << 32 | 1ULL << 30;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using capsem::vsock::FuzzFrontEnd;
  FuzzedDataProvider input(data, size);
  FuzzFrontEnd front_end;
  if (input.ConsumeBool()) {
    front_end.set_up(kFeatures);
  }
  for (std::size_t i = 0; i < kMaxMessages && input.remaining_bytes() > 0; ++i) {
    const auto payload = [&] {
      return input.ConsumeBytes<std::byte>(input.ConsumeIntegralInRange<std::size_t>(0, 280));
    };
    if (input.ConsumeIntegralInRange(0, 9) == 0) {
      front_end.send_raw(payload());
    } else {
      const capsem::vsock::Request request{input.ConsumeIntegralInRange<std::uint32_t>(0, 40)};
      const auto fds = input.ConsumeIntegralInRange<std::size_t>(0, 9);
      const bool events = input.ConsumeBool();
      front_end.send(request, payload(), fds, events);
    }
    front_end.run();
  }
  return 0;
}
