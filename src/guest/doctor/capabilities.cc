// What root of a session may do at most.
#include "manifest/capabilities.h"

#include <unistd.h>

#include <array>

#include "guest/doctor/attack.h"

namespace capsem::guest::doctor {
namespace {

using manifest::capability_names;
using manifest::kSessionCapabilities;

std::string in_words(manifest::CapabilitySet set) {
  return set == 0 ? "none" : capability_names(set);
}

Outcome exact_set(const Guest&) {
  auto self = see_process(::getpid());
  if (!self) return expect(false, "/proc does not tell");
  auto more = self->bounding & ~kSessionCapabilities;
  auto less = kSessionCapabilities & ~self->bounding;
  if (more == 0 && less == 0) return expect(true, in_words(self->bounding));
  return expect(false, "too many: " + in_words(more) + "; missing: " + in_words(less));
}

Outcome nobody_has_more(const Guest& guest) {
  for (const auto& process : guest.processes) {
    auto more = (process.bounding | process.permitted) & ~kSessionCapabilities;
    if (more != 0) return expect(false, describe(process) + " has " + in_words(more));
  }
  return expect(true, "none of " + std::to_string(guest.processes.size()));
}

Outcome may_gain_privileges(const Guest&) {
  auto self = see_process(::getpid());
  if (!self) return expect(false, "/proc does not tell");
  return expect(!self->no_new_privileges, self->no_new_privileges ? "set" : "not set");
}

constexpr std::array kRows = {
    CheckRow{"capabilities", "those of a session, no more and no less", exact_set},
    CheckRow{"capabilities of others", "no process in sight has more", nobody_has_more},
    CheckRow{"no_new_privs", "not set, as sudo needs it", may_gain_privileges},
};

}  // namespace

void add_capability_checks(Items& items, const Guest& guest) {
  add_rows(items, kRows, guest);
}

}  // namespace capsem::guest::doctor
