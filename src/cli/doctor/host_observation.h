// How checks of the host put together what they saw.
#pragma once

#include <string>
#include <vector>

#include "cli/doctor/host_check.h"

namespace capsem::cli {

inline Observation ok(std::string seen) {
  return {Health::kOk, std::move(seen), {}};
}

inline Observation warning(std::string seen, std::string advice) {
  return {Health::kWarning, std::move(seen), std::move(advice)};
}

inline Observation problem(std::string seen, std::string advice) {
  return {Health::kProblem, std::move(seen), std::move(advice)};
}

// An error as an observation; `advice` where the error has none.
Observation as_problem(const Error& error, const std::string& advice = {});
Observation as_warning(const Error& error, const std::string& advice = {});

// The first of `things`, and how many more there are.
std::string first_and_more(const std::vector<std::string>& things);

// Several observations as one, as bad as the worst: all that is not well, with its advice, one
// behind the other; or all of it when everything is well.
Observation together(const std::vector<Observation>& observations);

// `path` for a command line to copy: quoted where the shell would take it apart.
std::string shell_word(const std::string& text);

}  // namespace capsem::cli
