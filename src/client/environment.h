// The variables that a user gives a session's command: NAME=VALUE, a NAME of our own environment,
// or files of them; and those that are refused, because they decide what code programs run.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/messages.h"

namespace capsem::client {

// Of a file of variables: all of them have to fit into the message that a session begins with.
inline constexpr std::size_t kVariablesFileBytes = 1 << 20;

// Why the variable `name` is refused, as what follows "because it "; null when it is not.
const char* refusal_of(std::string_view name);

// Adds "NAME=VALUE", or "NAME" with its value from `own` (environ(7)), in place of an earlier one.
// `option` is what the user gave it to, for the errors, none of which shows a value.
Result<> add_variable(wire::Environment& environment, std::string_view text, char* const* own,
                      const std::string& option);

// Adds the lines of the file `path`: NAME=VALUE, taken as they are, without quotes or escapes;
// empty ones and those that begin with '#', perhaps behind spaces, stand for nothing. Errors name
// the line.
Result<> add_variables_of(wire::Environment& environment, const std::string& path);

}  // namespace capsem::client
