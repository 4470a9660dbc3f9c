#include "guest/sysutil/sysutil.h"

#include <signal.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/log.h"

namespace capsem::guest::sysutil {
namespace {

// The signals are those sysvinit and busybox agree on for PID 1.
constexpr std::array kActions = {
    Action{"shutdown", "end the VM: services stop, then the machine powers off", "power off the VM",
           SIGUSR2},
    Action{"poweroff", "the same", "power off the VM", SIGUSR2},
    Action{"halt", "stop the system, leaving the machine on", "halt the VM", SIGUSR1},
    Action{"reboot", "start the system again", "reboot the VM", SIGTERM},
    Action{"suspend", "not possible yet: this host cannot suspend a VM", "suspend the VM", 0},
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
  std::optional<Action> action;
  int arguments = 1;
  if (argc > 0) action = find_action(base_name(argv[0]));
  if (!action && argc > 1) {
    std::string_view word = argv[arguments++];
    if (word == "--help" || word == "-h" || word == "help") {
      auto printed = print(help());
      return printed ? 0 : 1;
    }
    action = find_action(word);
  }
  if (!action || argc != arguments) {
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
