#include "client/session_signals.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <vector>

namespace capsem::client {
namespace {

namespace asio = boost::asio;

struct Row {
  int number;
  SignalUse use;
  bool with_pipes;
  bool with_terminal;
};

// With pipes a stop is the shell's business: the default action does what the user expects.
constexpr std::array kSignals = {
    Row{SIGINT, SignalUse::kEnd, true, true},        Row{SIGTERM, SignalUse::kEnd, true, true},
    Row{SIGHUP, SignalUse::kEnd, true, true},        Row{SIGQUIT, SignalUse::kEnd, true, true},
    Row{SIGUSR1, SignalUse::kForward, true, true},   Row{SIGUSR2, SignalUse::kForward, true, true},
    Row{SIGWINCH, SignalUse::kResize, false, true},  Row{SIGTSTP, SignalUse::kStop, false, true},
    Row{SIGCONT, SignalUse::kContinue, false, true},
};

}  // namespace

Result<SessionSignals> SessionSignals::hold(const asio::any_io_executor& executor,
                                            const Signals* signals, bool has_terminal) {
  if (signals == nullptr) return SessionSignals(std::nullopt);
  std::vector<int> numbers;
  for (const Row& row : kSignals)
    if (has_terminal ? row.with_terminal : row.with_pipes) numbers.push_back(row.number);
  auto held = signals->hold(numbers);
  if (!held) return propagate(held);
  auto reader = async::SignalReader::create(executor, std::move(*held));
  if (!reader) return propagate(reader);
  return SessionSignals(std::move(*reader));
}

Task<std::optional<ReceivedSignal>> SessionSignals::next() {
  std::optional<ReceivedSignal> received;
  if (!reader_) co_return received;
  auto number = co_await reader_->next();
  if (!number) co_return received;
  const auto* row =
      std::ranges::find_if(kSignals, [&](const Row& each) { return each.number == *number; });
  received = ReceivedSignal{*number, row->use};
  co_return received;
}

void SessionSignals::cancel() {
  if (reader_) reader_->cancel();
}

}  // namespace capsem::client
