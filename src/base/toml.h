// toml++, set up the same wherever it is included. Its parser checks some of what it reads by
// assertions, which must not end a program for a file such as "[!]"; behind them it has an error
// for the same.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>
