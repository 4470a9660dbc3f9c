#include "guest/sysutil/sysutil.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "base/log.h"

namespace capsem::guest::sysutil {
namespace {

// The signals are those sysvinit and busybox agree on for PID 1.
constexpr std::array kActions = {
    Action{"shutdown", "end the VM: services stop, then the machine powers off", "power off the VM",
           SIGUSR2},
    Action{"poweroff", "the same", "power off the VM", SIGUSR2},
    Action{"halt", "the same: a VM that is halted but on is of use to nobody", "halt the VM",
           SIGUSR2},
    Action{"reboot", "start the system again", "reboot the VM", SIGTERM},
    Action{"suspend", "not possible yet: this host cannot suspend a VM", "suspend the VM", 0},
};

// Options of shutdown(8) and halt(8). Those without an action change nothing: each end is at once,
// orderly, and with nobody to tell but the session.
struct Option {
  std::string_view word;
  std::string_view action;
};
constexpr std::array kOptions = {
    Option{"-h", ""},
    Option{"now", ""},
    Option{"+0", ""},
    Option{"-f", ""},
    Option{"--force", ""},
    Option{"--no-wall", ""},
    Option{"-r", "reboot"},
    Option{"--reboot", "reboot"},
    Option{"-H", "halt"},
    Option{"--halt", "halt"},
    Option{"-P", "poweroff"},
    Option{"-p", "poweroff"},
    Option{"--poweroff", "poweroff"},
};

std::string help() {
  std::string text =
      "usage: capsem-sysutil ACTION\n"
      "\n"
      "Asks the VM's init to end the machine. Only root may.\n"
      "\n"
      "actions:\n";
  for (const auto& action : kActions) {
    text += "  ";
    text += action.word;
    text.append(10 - action.word.size(), ' ');
    text += action.help;
    text += '\n';
  }
  text +=
      "\n"
      "The names halt, poweroff, reboot and shutdown do the same, with options as elsewhere:\n"
      "shutdown -r now. A later time is not possible.\n"
      "\n"
      "exit status: 0 the init has been asked, 1 it could not be or the VM cannot do it,\n"
      "2 wrong usage\n";
  return text;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::optional<Action> find_action(std::string_view word) {
  for (const auto& action : kActions)
    if (action.word == word) return action;
  return std::nullopt;
}

std::optional<Action> choose(Action action, std::span<const std::string_view> options) {
  for (auto word : options) {
    const auto* option = std::ranges::find(kOptions, word, &Option::word);
    if (option == kOptions.end()) return std::nullopt;
    if (!option->action.empty()) action = *find_action(option->action);
  }
  return action;
}

Result<> request(const Action& action, pid_t init) {
  std::string attempt(action.attempt);
  if (action.signal == 0)
    return fail(std::move(attempt), "", "this host cannot suspend a VM yet",
                "leave the VM running, or power it off");
  if (::kill(init, action.signal) == 0) return {};
  if (errno == EPERM)
    return fail(std::move(attempt), "", "only root may", "run it as root", ErrorKind::kPermission);
  return fail_system(std::move(attempt), "", errno);
}

int run(int argc, char** argv) {
  std::vector<std::string_view> words(argv, argv + argc);
  const auto name = words.empty() ? "" : base_name(words.front());
  const auto options = std::span(words).subspan(std::min<std::size_t>(1, words.size()));
  const auto first = options.empty() ? "" : options.front();
  auto action = find_action(name);
  const bool is_help = first == "--help" || (!action && (first == "-h" || first == "help"));
  if (is_help) return print(help()) ? 0 : 1;
  if (action)
    action = choose(*action, options);
  else if (options.size() == 1)
    action = find_action(first);
  if (!action) {
    say("usage: capsem-sysutil shutdown|poweroff|halt|reboot|suspend (see --help)");
    return 2;
  }
  constexpr pid_t kInit = 1;
  if (auto requested = request(*action, kInit); !requested) {
    say(requested.error().message());
    return 1;
  }
  return 0;
}

}  // namespace capsem::guest::sysutil
