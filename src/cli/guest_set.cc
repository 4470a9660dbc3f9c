#include "cli/guest_set.h"

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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

// What ninja says goes to stderr, since stdout belongs to the command in the guest; what it says
// when there is nothing to do goes nowhere.
Result<> pass_on(const Fd& output) {
  constexpr std::string_view kNothingToDo = "ninja: no work to do.\n";
  std::string held;
  std::array<std::byte, 4096> buffer{};
  for (;;) {
    ssize_t n = ::read(output.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_system("read the output of", "ninja", errno);
    if (n == 0) return {};
    held += as_text(std::span(buffer).first(static_cast<std::size_t>(n)));
    if (kNothingToDo.starts_with(held)) continue;
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, held.data(), held.size());
    held.clear();
  }
}

}  // namespace

Result<> build_guest_programs(const Layout& layout) {
  if (!layout.checkout) return {};
  auto output = make_pipe();
  if (!output) return propagate(output);
  Command ninja{.argv = {"ninja", "-C", layout.build.string(), "--quiet", "guest"}};
  ninja.fds = {{1, output->second.get()}};
  ninja.die_with_parent = true;
  auto process = Process::start(ninja);
  if (!process) return propagate(process, "build", "the guest programs");
  output->second.reset();
  if (auto passed = pass_on(output->first); !passed) return passed;
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
