// capsem-sysutil: asks PID 1 to end the machine, and says what a guest cannot do by itself.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"

namespace capsem::guest::sysutil {

// What a word on the command line stands for.
struct Action {
  std::string_view word;
  std::string_view help;
  std::string_view attempt;  // completes "cannot ..."
  int signal;                // what PID 1 is sent; 0: this machine cannot do it
};

// The action of that name; nothing for any other word.
std::optional<Action> find_action(std::string_view word);

// What "shutdown -r now" and the like ask for: `action`, or another that one of `options` chooses.
// Nothing when one of them has no meaning here, such as a time.
std::optional<Action> choose(Action action, std::span<const std::string_view> options);

// Has `init` (PID 1 but in tests) carry out `action`; returns when it has been told. kPermission
// for a user who may not.
Result<> request(const Action& action, pid_t init);

// "capsem-sysutil WORD"; where argv[0] is such a word itself ("poweroff"), that one, with the
// options that other systems' programs of these names take. The exit status is 0 when PID 1 has
// been asked, 1 when that failed, 2 for a command line of no meaning.
int run(int argc, char** argv);

}  // namespace capsem::guest::sysutil
