#include "client/outbox.h"

#include <utility>

#include "base/fd.h"
#include "wire/codec.h"

namespace capsem::client {

Result<> Outbox::put(const wire::HostSession& message) {
  auto frame = wire::encode(message);
  if (!frame) return propagate(frame);
  if (refused_ || stopped_) return {};
  waiting_ += *frame;
  event_.notify();
  return {};
}

Task<> Outbox::run() {
  while (!stopped_) {
    if (waiting_.empty()) {
      co_await event_.wait();
      continue;
    }
    std::string batch = std::exchange(waiting_, {});
    auto written = co_await stream_.write_all(as_bytes(batch));
    if (!written) {
      refused_ = true;
      waiting_.clear();
    }
  }
}

void Outbox::stop() {
  stopped_ = true;
  event_.notify();
}

}  // namespace capsem::client
