#include "async/signal_reader.h"

#include <utility>

namespace capsem::async {

Result<SignalReader> SignalReader::create(const boost::asio::any_io_executor& executor,
                                          HeldSignals signals) {
  auto readiness = Readiness::watch(executor, signals.fd().get(), Readiness::Direction::kRead);
  if (!readiness) return propagate(readiness);
  return SignalReader(std::move(signals), std::move(*readiness));
}

Task<std::optional<int>> SignalReader::next() {
  while (!cancelled_) {
    if (auto number = signals_.next()) co_return number;
    if (!co_await readiness_->wait()) break;
  }
  co_return std::nullopt;
}

void SignalReader::cancel() {
  cancelled_ = true;
  readiness_->cancel();
}

}  // namespace capsem::async
