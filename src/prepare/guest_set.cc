#include "prepare/guest_set.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "assets/watched_program.h"
#include "base/log.h"
#include "base/process.h"
#include "base/stream.h"
#include "base/text.h"
#include "initrd/verify.h"
#include "manifest/parse.h"

namespace capsem::prepare {
namespace {

constexpr const char* kBootImage = "boot the image";

Result<std::optional<std::uint32_t>> source_date_epoch() {
  const char* text = ::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return std::nullopt;
  std::uint32_t seconds = 0;
  std::string_view digits(text);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (error != std::errc{} || end != digits.data() + digits.size())
    return fail("use SOURCE_DATE_EPOCH", printable(text), "it is no number of seconds that fits",
                "unset it, or write seconds since 1970", ErrorKind::kInvalid);
  return seconds;
}

// What ninja and CMake say when nothing is wrong. CMake marks its own so, as no compiler does.
bool is_progress(std::string_view line) {
  return line == "ninja: no work to do." || line.starts_with("-- ");
}

// ninja knows the guest programs by the list of their names alone: with one of them gone, the list
// goes too.
void forget_lost_programs(const Layout& layout, const manifest::Manifest& manifest) {
  std::error_code ignored;
  bool lost = std::ranges::any_of(manifest.entries, [&](const manifest::Entry& entry) {
    return entry.build && !std::filesystem::exists(layout.sources.programs / entry.name, ignored);
  });
  if (lost) std::filesystem::remove(layout.build / "guest-programs", ignored);
}

}  // namespace

Result<manifest::Manifest> build_guest(const Layout& layout, const Signals& signals) {
  auto manifest = manifest::load(layout.guest_toml);
  if (!manifest || !layout.checkout) return manifest;
  forget_lost_programs(layout, *manifest);
  constexpr const char* kAttempt = "build";
  constexpr const char* kSubject = "the guest programs";
  auto held = signals.hold();
  if (!held) return propagate(held);
  // All it says goes to stderr, since stdout belongs to the command in the guest.
  Command ninja{
      .argv = {"sh", "-c", "exec ninja -C \"$1\" --quiet guest >&2", "sh", layout.build.string()}};
  auto status = assets::run_watched(std::move(ninja), *held, [](std::string_view line) {
    if (is_progress(line)) return;
    auto text = std::string(line) + "\n";
    [[maybe_unused]] auto printed = print(text, STDERR_FILENO);
  });
  if (!status && status.error().kind() == ErrorKind::kInterrupted)
    return fail_interrupted(kAttempt, kSubject, status.error().signal());
  if (!status) return propagate(status, kAttempt, kSubject);
  if (!status->success())
    return fail(kAttempt, kSubject, "ninja ended with " + status->describe(),
                "mend what the lines above say");
  return manifest;
}

Result<initrd::PackOptions> pack_options(const PackChoice& choice,
                                         const std::filesystem::path& cache) {
  if (choice.codec == kAutoCodec)
    return fail("choose", "a codec", "only the guest's own image can be booted to find out",
                "name one with --codec", ErrorKind::kInvalid);
  auto codec = codec::parse(choice.codec);
  if (!codec) return propagate(codec);
  auto epoch = source_date_epoch();
  if (!epoch) return propagate(epoch);
  initrd::PackOptions options;
  if (choice.use_cache) options.cache = cache;
  options.cache_limit_bytes = choice.cache_limit_bytes;
  options.codec = *codec;
  options.level = choice.level;
  options.mtime = epoch->value_or(0);
  options.keep_mtime = choice.keep_times && !*epoch;
  options.checksum = choice.checksum;
  options.threads = choice.threads;
  return options;
}

Result<PackChoice> resolve_codec(const Layout& layout, const manifest::Manifest& manifest,
                                 const assets::Assets& assets, PackChoice choice,
                                 TrialMachine& machine) {
  if (choice.codec != kAutoCodec) return choice;
  if (choice.level)
    return fail("use", "--level", "the codec is to be chosen", "name one with --codec",
                ErrorKind::kInvalid);
  auto chosen = choose_codec(layout, manifest, assets, machine);
  if (!chosen) return propagate(chosen);
  say("codec " + chosen->codec + " (" + chosen->reason + ")");
  choice.codec = chosen->codec;
  return choice;
}

Result<Fd> open_ready_image(const std::filesystem::path& file) {
  auto fd = open_file(file, O_RDONLY);
  if (!fd) return propagate(fd, kBootImage, file);
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0) return fail_system(kBootImage, file, errno);
  // A pipe could be read once, and QEMU reads it too.
  if (!S_ISREG(status.st_mode))
    return fail(kBootImage, file, "it is not a regular file", "", ErrorKind::kInvalid);
  FileInput input(*fd, file);
  if (auto checked = initrd::check_bootable(input); !checked)
    return propagate(checked, kBootImage, file);
  return fd;
}

Result<initrd::PackResult> pack_image(const Layout& layout, const manifest::Manifest& manifest,
                                      const assets::Assets& assets, const PackChoice& choice,
                                      TrialMachine& machine) {
  auto resolved = resolve_codec(layout, manifest, assets, choice, machine);
  if (!resolved) return propagate(resolved);
  auto options = pack_options(*resolved, layout.cache);
  if (!options) return propagate(options);
  options->target = layout.image;
  auto packed = initrd::pack_guest(manifest, layout.sources, &assets.modules, *options);
  if (!packed || !packed->why_no_init) return packed;
  return fail(kBootImage, layout.image, "cannot start /init: " + *packed->why_no_init, "",
              ErrorKind::kInvalid);
}

}  // namespace capsem::prepare
