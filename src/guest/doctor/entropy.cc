// Random numbers: there at once, and not the same twice.
#include <fcntl.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/groups.h"

namespace capsem::guest::doctor {
namespace {

using Bytes = std::array<std::byte, 32>;

Outcome ready(const Guest&) {
  Bytes bytes{};
  bool seeded =
      ::getrandom(bytes.data(), bytes.size(), GRND_NONBLOCK) == static_cast<ssize_t>(bytes.size());
  return expect(seeded, seeded ? "ready" : std::strerror(errno));
}

// Two reads that agree, or give zero bytes only, come from no generator.
Outcome differs(const char* path) {
  std::array<Bytes, 2> reads{};
  auto device = open_file(path, O_RDONLY | O_NONBLOCK);
  if (!device) return expect(false, device.error().message());
  for (auto& bytes : reads) {
    auto size = read_full(*device, bytes, path);
    if (!size) return expect(false, size.error().message());
    if (*size != bytes.size()) return expect(false, "it ends");
  }
  bool random = reads[0] != reads[1] && reads[0] != Bytes{} && reads[1] != Bytes{};
  return expect(random, random ? "differs" : "the same");
}

constexpr std::array kRows = {
    CheckRow{"getrandom", "ready", ready},
    CheckRow{"/dev/random", "differs at each read",
             [](const Guest&) { return differs("/dev/random"); }},
    CheckRow{"/dev/urandom", "differs at each read",
             [](const Guest&) { return differs("/dev/urandom"); }},
};

}  // namespace

Items entropy_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
