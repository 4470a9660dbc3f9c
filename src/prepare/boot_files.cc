#include "prepare/boot_files.h"

#include "assets/inputs.h"
#include "base/log.h"

namespace capsem::prepare {
namespace {

void warn_of_stale_rootfs(const Layout& layout, const manifest::Manifest& manifest,
                          const assets::Assets& assets) {
  if (!layout.checkout) return;
  auto stale = assets::stale_inputs(
      assets.index, {.config = layout.config, .manifest = manifest, .sources = layout.sources});
  if (!stale) return warn(stale.error().message());
  if (stale->empty()) return;
  auto more = stale->size() > 1 ? " and " + std::to_string(stale->size() - 1) + " more" : "";
  warn(in_words_of_here("the rootfs is older than what it is made from (" + stale->front() + more +
                        "); run 'capsem build-assets'; booting it as it is"));
}

}  // namespace

Result<BootFiles> prepare_boot_files(const Layout& layout, const PackChoice& choice,
                                     TrialMachine& machine, const OnStep& on_step,
                                     const Signals& signals) {
  auto begin = Clock::now();
  auto manifest = build_guest(layout, signals);
  if (!manifest) return propagate(manifest);
  auto built = Clock::now();
  on_step("build", begin, built);

  auto assets = assets::open_assets(layout.assets, layout.cache);
  if (!assets) return propagate(assets);
  auto opened = Clock::now();
  on_step("open assets", built, opened);

  auto packed = pack_image(layout, *manifest, *assets, choice, machine);
  if (!packed) return propagate(packed);
  auto packed_at = Clock::now();
  on_step("repack", opened, packed_at);
  warn_of_stale_rootfs(layout, *manifest, *assets);
  on_step("look for a stale rootfs", packed_at, Clock::now());
  return BootFiles{std::move(*assets), std::move(packed->image)};
}

Result<BootFiles> open_boot_files(const Layout& layout, const std::filesystem::path& initrd,
                                  const OnStep& on_step) {
  auto begin = Clock::now();
  auto image = open_ready_image(initrd);
  if (!image) return propagate(image);
  auto checked = Clock::now();
  on_step("look at the initrd", begin, checked);
  auto assets = assets::open_assets(layout.assets, layout.cache);
  if (!assets) return propagate(assets);
  on_step("open assets", checked, Clock::now());
  return BootFiles{std::move(*assets), std::move(*image)};
}

}  // namespace capsem::prepare
