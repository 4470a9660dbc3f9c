#include "guest/doctor/check.h"

namespace capsem::guest::doctor {

Outcome expect(bool as_expected, std::string seen) {
  return {as_expected ? Verdict::kPass : Verdict::kFail, std::move(seen)};
}

Outcome skip(std::string why) {
  return {Verdict::kSkip, std::move(why)};
}

const std::vector<Group> kGroups = {
    {"boot", check_boot},         {"binaries", check_binaries}, {"mounts", check_mounts},
    {"services", check_services}, {"network", check_network},   {"vsock", check_vsock},
    {"terminal", check_terminal},
};

}  // namespace capsem::guest::doctor
