// The doctor's command line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace capsem::guest::doctor {

struct Options {
  bool help = false;
  bool list = false;
  bool json = false;
  std::optional<std::string> junit;  // a file, or "-" for standard output
  std::vector<std::string> only;     // groups; all when empty
  std::vector<std::string> skip;     // groups that are left out of those
};

// The words after the program's name. `groups` are the names that --only and --skip may be given.
// kInvalid for what is not understood.
Result<Options> parse_options(const std::vector<std::string_view>& words,
                              const std::vector<std::string>& groups);

// Whether the checks of this group are not to be made.
bool leaves_out(const Options& options, const std::string& group);

extern const char* const kHelp;

}  // namespace capsem::guest::doctor
