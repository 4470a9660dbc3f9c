// How a failed test shows a decision.
#pragma once

#include <ostream>

#include "host/net/policy.h"

namespace capsem::host::net {

inline void PrintTo(const Decision& decision, std::ostream* out) {
  constexpr const char* kNames[] = {"deny", "pass", "inspect"};
  *out << kNames[static_cast<int>(decision.verdict)] << " by " << decision.rule;
}

}  // namespace capsem::host::net
