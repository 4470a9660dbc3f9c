// What the parts of the registry call a VM in their errors.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace capsem::client {

inline std::string in_quotes(std::string_view name) {
  return "VM '" + printable(name) + "'";
}

inline std::unexpected<Error> fail_running(std::string attempted, const std::string& name) {
  return fail(std::move(attempted), in_quotes(name), "it is running",
              "use 'capsem exec' for a command in it, or 'capsem stop' first", ErrorKind::kInvalid);
}

}  // namespace capsem::client
