// Lines for the person at the terminal, on stderr; and what a program was asked for, on stdout.
#pragma once

#include <string_view>

#include "base/error.h"

namespace capsem {

// "capsem: TEXT", in one write(2) so that lines of several processes do not mix.
void say(std::string_view text);

// "capsem: warning: TEXT"
void warn(std::string_view text);

// Writes all of `text`, as it is, to stdout, or to stderr.
Result<> print(std::string_view text, int fd = 1);

}  // namespace capsem
