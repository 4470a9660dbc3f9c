// Lines for the person at the terminal, on stderr. What belongs to the command in the guest goes
// to stdout and never through here.
#pragma once

#include <string_view>

namespace capsem {

// "capsem: TEXT", in one write(2) so that lines of several processes do not mix.
void say(std::string_view text);

// "capsem: warning: TEXT"
void warn(std::string_view text);

}  // namespace capsem
