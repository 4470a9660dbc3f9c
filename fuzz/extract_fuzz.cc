// Arbitrary bytes as an image to extract. Whatever it says, what lies beside the directory it is
// extracted to stays as it was.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "fuzz/playground.h"
#include "initrd/extract.h"
#include "initrd/file_content.h"

namespace {

using namespace capsem;  // NOLINT(google-build-using-namespace): this file is all fuzz target

constexpr std::uint64_t kLimitBytes = 1 << 20;

void extract(std::span<const std::byte> image, const initrd::Selection& selection, Fd root) {
  MemoryInput input(image);
  initrd::ImageReader reader(input, kLimitBytes);
  const initrd::ExtractEvents events{.failed = [](const Error&) {},
                                     .skipped = [](const std::string&) {}};
  auto extracted =
      initrd::extract(reader, std::move(root), selection, {.keep_owner = ::geteuid() == 0}, events);
  if (!extracted && extracted.error().message().empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Playground playground("extract-fuzz");
  const auto image = std::as_bytes(std::span(data, size));
  extract(image, {}, playground.prepare_root());
  playground.check();

  MemoryInput first(image);
  initrd::ImageReader whole(first, kLimitBytes);
  auto selection = initrd::Selection::by_patterns(whole, {"a*", "s"});
  if (selection) extract(image, *selection, playground.prepare_root());
  playground.check();

  MemoryInput again(image);
  initrd::ImageReader reader(again, kLimitBytes);
  if (auto found = initrd::find_content(reader, "a"); !found && found.error().message().empty())
    std::abort();
  return 0;
}
