// Arbitrary bytes as the tar archive of a copy, for both ends: with and without a name for its one
// item, with the owners of the archive and without. Whatever it says, what lies beside the target
// stays as it was.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/stream.h"
#include "fuzz/playground.h"
#include "tar/reader.h"
#include "tar/unpack.h"

namespace {

using namespace capsem;  // NOLINT(google-build-using-namespace): this file is all fuzz target

// A sparse file may say that it is large, and the reader would go on through its holes for nothing.
constexpr std::size_t kMaxPieces = 1 << 16;

// What the reader says of members and bodies is within its own limits.
void read(std::span<const std::byte> archive) {
  MemoryInput input(archive);
  tar::Reader reader(input, "archive");
  for (;;) {
    auto member = reader.next();
    if (!member && member.error().message().empty()) std::abort();
    if (!member || !*member) return;
    const auto& is = **member;
    if (is.path.size() > tar::kMaxPathBytes || is.link.size() > tar::kMaxPathBytes) std::abort();
    if (is.extents.size() > tar::kMaxExtents) std::abort();
    if (is.kind != tar::Kind::kFile) continue;
    std::uint64_t end = 0;
    for (std::size_t count = 0; count < kMaxPieces; ++count) {
      auto piece = reader.body();
      if (!piece) return;
      if (piece->bytes.empty()) break;
      if (piece->offset < end || piece->offset + piece->bytes.size() > is.size) std::abort();
      end = piece->offset + piece->bytes.size();
    }
  }
}

void unpack(std::span<const std::byte> archive, Fd root, const std::string& name, bool owners) {
  MemoryInput input(archive);
  tar::Reader reader(input, "archive");
  const tar::Place target{.directory = std::move(root), .name = name.empty() ? "" : "target"};
  auto unpacked = tar::unpack(
      reader, target, {.name = name, .owners = owners && ::geteuid() == 0, .set_id = owners});
  if (!unpacked && unpacked.error().message().empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Playground playground("tar-fuzz");
  const auto archive = std::as_bytes(std::span(data, size));
  read(archive);
  unpack(archive, playground.prepare_root(), "", true);
  playground.check();
  unpack(archive, playground.prepare_root(), "a", false);
  playground.check();
  return 0;
}
