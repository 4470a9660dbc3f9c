#include "guest/sysutil/sysutil.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "guest/end_signals.h"
#include "guest/sysutil/host_link.h"
#include "guest/sysutil/options.h"

namespace capsem::guest::sysutil {
namespace {

using wire::LifecycleAction;

constexpr int kDone = 0;
constexpr int kCannot = 1;
constexpr int kMisused = 2;

// Beyond the grace: to kill what is left, and to switch off; the host is done by then.
constexpr std::chrono::seconds kEndLimit{30};

std::unexpected<Error> only_root(LifecycleAction action) {
  return fail(std::string(attempt_of(action)), "", "only root may", "run it as root",
              ErrorKind::kPermission);
}

// The init can do no more than end the machine, now.
bool init_can(const Command& command) {
  bool ends =
      command.action == LifecycleAction::kPoweroff || command.action == LifecycleAction::kReboot;
  return ends && command.delay.count() == 0;
}

Result<> signal_init(LifecycleAction action, pid_t init) {
  auto wanted = action == LifecycleAction::kReboot ? wire::ShutdownAction::kReboot
                                                   : wire::ShutdownAction::kPoweroff;
  const auto* row = std::ranges::find(kEndSignals, wanted, &EndSignal::action);
  if (::kill(init, row->signal) == 0) return {};
  if (errno == EPERM) return only_root(action);
  return fail_system(std::string(attempt_of(action)), "", errno);
}

Result<> ask_init(const Command& command, const Surroundings& surroundings) {
  if (!init_can(command))
    return fail(std::string(attempt_of(command.action)), "", "the VM's init cannot",
                "leave -f, --force out");
  auto told = signal_init(command.action, surroundings.init);
  if (told) surroundings.wait_for_end(kEndLimit);
  return told;
}

Result<> carry_out(const Command& command, const Surroundings& surroundings) {
  if (!surroundings.is_root) return only_root(command.action);
  if (command.ask_init) return ask_init(command, surroundings);
  auto answer =
      surroundings.ask_host({.action = command.action,
                             .delay_ms = static_cast<std::uint64_t>(command.delay.count()),
                             .grace_ms = static_cast<std::uint32_t>(command.grace.count()),
                             .message = wire::clipped(command.message)});
  if (!answer && answer.error().kind() == ErrorKind::kPermission) return only_root(command.action);
  if (!answer && init_can(command)) return ask_init(command, surroundings);
  if (!answer) return propagate(answer, std::string(attempt_of(command.action)), "");
  if (!answer->accepted)
    return fail(std::string(attempt_of(command.action)), "", printable(answer->text));
  if (!answer->text.empty()) say(printable(answer->text));
  if (init_can(command)) surroundings.wait_for_end(command.grace + kEndLimit);
  return {};
}

}  // namespace

int run(std::span<const std::string_view> words, const Surroundings& surroundings) {
  auto command = parse(words, surroundings.now);
  if (!command) {
    say(command.error().message());
    return command.error().kind() == ErrorKind::kInvalid ? kMisused : kCannot;
  }
  if (command->help) {
    auto path = words.front();
    return print(help_of(path.substr(path.rfind('/') + 1))) ? kDone : kCannot;
  }
  auto done = carry_out(*command, surroundings);
  if (!done) say(done.error().message());
  return done ? kDone : kCannot;
}

int run(int argc, char** argv) {
  std::vector<std::string_view> words(argv, argv + argc);
  auto host = std::make_shared<Fd>();
  Surroundings surroundings;
  surroundings.ask_host =
      [host](const wire::LifecycleRequest& request) -> Result<wire::LifecycleAnswer> {
    auto connected = connect_to_host();
    if (!connected) return propagate(connected);
    *host = std::move(*connected);
    return ask(*host, request);
  };
  surroundings.wait_for_end = [host](std::chrono::milliseconds limit) {
    wait_for_end(*host, limit);
  };
  surroundings.is_root = ::geteuid() == 0;
  time_t now = ::time(nullptr);
  ::localtime_r(&now, &surroundings.now);
  return run(words, surroundings);
}

}  // namespace capsem::guest::sysutil
