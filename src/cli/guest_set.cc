#include "cli/guest_set.h"

#include <stdlib.h>

#include <charconv>

#include "base/process.h"
#include "base/text.h"

namespace capsem::cli {
namespace {

Result<std::uint32_t> source_date_epoch() {
  const char* text = ::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return 0;
  std::uint32_t seconds = 0;
  std::string_view digits(text);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error != std::errc{} || end != digits.data() + digits.size())
    return fail("use SOURCE_DATE_EPOCH", printable(text), "it is no number of seconds that fits",
                "unset it, or write seconds since 1970", ErrorKind::kInvalid);
  return seconds;
}

}  // namespace

Result<> build_guest_programs(const Layout& layout) {
  if (!layout.checkout) return {};
  // Its output is for stderr: stdout belongs to the command in the guest.
  Command ninja{.argv = {"ninja", "-C", layout.build.string(), "--quiet", "guest"}};
  ninja.fds = {{1, 2}};
  auto process = Process::start(ninja);
  if (!process) return propagate(process, "build", "the guest programs");
  auto status = process->wait();
  if (!status) return propagate(status);
  if (!status->success())
    return fail("build", "the guest programs", "ninja ended with " + status->describe(),
                "mend what the lines above say");
  return {};
}

Result<initrd::PackResult> pack_image(const Layout& layout, const manifest::Manifest& manifest,
                                      const assets::Assets& assets, const PackChoice& choice,
                                      const std::filesystem::path& target) {
  auto codec = codec::parse(choice.codec);
  if (!codec) return propagate(codec);
  auto mtime = source_date_epoch();
  if (!mtime) return propagate(mtime);
  initrd::PackOptions options{.target = target,
                              .modules_segment = &assets.modules,
                              .cache = {},
                              .codec = *codec,
                              .level = choice.level,
                              .mtime = *mtime};
  if (choice.use_cache) options.cache = layout.cache / "segments";
  return initrd::pack(manifest, layout.sources, options);
}

}  // namespace capsem::cli
