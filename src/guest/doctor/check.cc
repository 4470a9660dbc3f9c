#include "guest/doctor/check.h"

namespace capsem::guest::doctor {

Outcome expect(bool as_expected, std::string seen) {
  return {as_expected ? Verdict::kPass : Verdict::kFail, std::move(seen)};
}

Outcome skip(std::string why) {
  return {Verdict::kSkip, std::move(why)};
}

Outcome absent(std::string why) {
  return {Verdict::kAbsent, std::move(why)};
}

}  // namespace capsem::guest::doctor
