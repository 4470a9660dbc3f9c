#include "client/session_signals.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

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
    Row{SIGINT, SignalUse::kPass, true, true},       Row{SIGTERM, SignalUse::kPass, true, true},
    Row{SIGHUP, SignalUse::kPass, true, true},       Row{SIGQUIT, SignalUse::kPass, true, true},
    Row{SIGUSR1, SignalUse::kPass, true, true},      Row{SIGUSR2, SignalUse::kPass, true, true},
    Row{SIGWINCH, SignalUse::kResize, false, true},  Row{SIGTSTP, SignalUse::kStop, false, true},
    Row{SIGCONT, SignalUse::kContinue, false, true},
};

bool is_ignored(int number) {
  struct sigaction action{};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

SessionSignals::SessionSignals(const asio::any_io_executor& executor, bool has_terminal)
    : signals_(executor) {
  for (const Row& row : kSignals) {
    bool wanted = has_terminal ? row.with_terminal : row.with_pipes;
    boost::system::error_code ignored;
    if (wanted && !is_ignored(row.number)) static_cast<void>(signals_.add(row.number, ignored));
  }
}

Task<std::optional<ReceivedSignal>> SessionSignals::next() {
  if (cancelled_) co_return std::nullopt;
  boost::system::error_code error;
  int number = co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (error || cancelled_) co_return std::nullopt;
  const auto* row =
      std::ranges::find_if(kSignals, [number](const Row& each) { return each.number == number; });
  ReceivedSignal received{number, row->use};
  co_return received;
}

void SessionSignals::cancel() {
  cancelled_ = true;
  boost::system::error_code ignored;
  static_cast<void>(signals_.cancel(ignored));
}

}  // namespace capsem::client
