// Arbitrary text as each of the JSON documents that a monitor, its clients and the registry read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/json.h"
#include "api/vm_record.h"

namespace {

using namespace capsem;  // NOLINT(google-build-using-namespace): this file is all fuzz target

// What was accepted says the same when it is written and read again.
template <class Parse>
void check(std::string_view text, Parse parse) {
  auto first = parse(text);
  if (!first) {
    if (first.error().message().empty()) std::abort();
    return;
  }
  const auto written = api::to_json(*first);
  auto second = parse(written);
  if (!second || api::to_json(*second) != written) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, api::parse_vm);
  check(text, api::parse_event);
  check(text, api::parse_failure);
  check(text, api::parse_stop);
  check(text, api::parse_start);
  check(text, api::parse_vm_record);
  return 0;
}
