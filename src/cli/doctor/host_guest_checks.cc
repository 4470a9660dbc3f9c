// Checks of what goes into a VM: the list, the programs, the assets and the image.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "assets/inputs.h"
#include "assets/open.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/doctor/host_check_functions.h"
#include "cli/doctor/host_observation.h"
#include "initrd/pack.h"
#include "initrd/verify.h"

namespace capsem::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kBuildAssets = "run 'capsem build-assets'";
constexpr const char* kPacksAnew = "'capsem run' packs it anew";
constexpr std::string_view kNothingToDo = "no work to do";

struct Tool {
  const char* program;
  const char* package;
  bool for_root;  // needed by root too
};

// As src/assets runs them.
constexpr Tool kBuildTools[] = {{"mmdebstrap", "mmdebstrap", true},
                                {"dpkg-deb", "dpkg", true},
                                {"sqfstar", "squashfs-tools", true},
                                {"unsquashfs", "squashfs-tools", true},
                                {"tar", "tar", true},
                                {"newuidmap", "uidmap", false}};

std::string seconds_since(Clock::time_point begin) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f s",
                std::chrono::duration<double>(Clock::now() - begin).count());
  return text.data();
}

bool is_program(const fs::path& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
}

std::vector<std::string> missing_programs(const Host& host) {
  std::vector<std::string> missing;
  for (const auto& entry : host.manifest->entries)
    if (entry.build && !is_program(host.layout->sources.programs / entry.name))
      missing.push_back(entry.name);
  return missing;
}

// What the checkout's build tool would have to do for the guest programs, in its own words.
Result<std::string> stale_programs(const prepare::Layout& layout) {
  auto said = run_for_output({.argv = {"ninja", "-C", layout.build, "-n", "guest"}});
  if (!said) return propagate(said);
  if (said->find(kNothingToDo) != std::string::npos) return std::string();
  auto last = trim(*said);
  return printable(last.substr(last.rfind('\n') + 1));
}

bool set_is_usable(const Host& host) {
  auto health = assets::check_set(host.layout->assets, host.layout->cache);
  return health && health->problems.empty();
}

Result<std::vector<std::string>> stale_inputs(const Host& host) {
  auto index = assets::read_index(host.layout->assets);
  if (!index) return propagate(index);
  return assets::stale_inputs(
      *index,
      {.config = host.layout->config, .manifest = *host.manifest, .sources = host.layout->sources});
}

}  // namespace

Observation check_guest_toml(const Host& host) {
  if (!host.manifest)
    return as_problem(host.manifest.error(), "mend " + host.layout->guest_toml.string());
  std::size_t services = 0;
  for (const auto& entry : host.manifest->entries) services += entry.service ? 1 : 0;
  return ok(std::to_string(host.manifest->entries.size()) + " entries, " +
            std::to_string(services) + " of them services");
}

Observation check_guest_programs(const Host& host) {
  auto missing = missing_programs(host);
  const auto where = host.layout->sources.programs.string();
  if (!host.layout->checkout) {
    if (missing.empty()) return ok("all there, in " + where);
    return problem("missing in " + where + ": " + first_and_more(missing),
                   "install capsem again with 'cmake --install'");
  }
  auto stale = stale_programs(*host.layout);
  if (!stale)
    return as_problem(stale.error(),
                      "run './dev build', which installs and configures what is missing");
  if (!stale->empty())
    return warning("not up to date in " + where + ": " + *stale, "'capsem run' builds them");
  if (!missing.empty())
    return problem("missing in " + where + ": " + first_and_more(missing),
                   "run './dev build', and see that guest.toml and src/guest agree");
  return ok("all there and up to date, in " + where);
}

Observation check_assets(const Host& host) {
  const auto& layout = *host.layout;
  auto begin = Clock::now();
  auto health = assets::check_set(layout.assets, host.deep ? fs::path() : layout.cache);
  if (!health) return as_problem(health.error(), kBuildAssets);
  std::vector<Observation> broken;
  for (const auto& error : health->problems) broken.push_back(as_problem(error, kBuildAssets));
  if (!broken.empty()) return together(broken);
  const auto files =
      std::to_string(health->index.files.size()) + " files, " + human_size(health->total_bytes);
  const auto kernel = "Linux " + printable(health->index.kernel_release) + ", ";
  if (health->files_read == 0)
    return ok(kernel + files + ", unchanged since their hashes were checked");
  return ok(kernel + files + ", as their hashes say (" + std::to_string(health->files_read) +
            " read in " + seconds_since(begin) + ")");
}

Observation check_rootfs_inputs(const Host& host) {
  if (!host.layout->checkout) return ok("part of the installation");
  auto stale = stale_inputs(host);
  if (!stale) return as_warning(stale.error(), kBuildAssets);
  if (stale->empty()) return ok("the rootfs is as new as what it is made from");
  return warning("the rootfs is older than what it is made from: " + first_and_more(*stale),
                 kBuildAssets);
}

Observation check_build_tools(const Host& host) {
  std::vector<std::string> missing;
  std::string packages;
  for (const auto& tool : kBuildTools) {
    if (!tool.for_root && ::geteuid() == 0) continue;
    if (find_program(tool.program)) continue;
    missing.emplace_back(tool.program);
    packages += std::string(packages.empty() ? "" : " ") + tool.package;
  }
  if (missing.empty()) return ok("all there");
  auto seen = "missing: " + join(missing, ", ");
  auto stale = stale_inputs(host);
  if (set_is_usable(host) && stale && stale->empty())
    return ok(seen + "; not needed while the assets are up to date");
  return problem(std::move(seen), "apt-get install " + packages);
}

Observation check_initrd(const Host& host) {
  const auto& image = host.layout->image;
  auto opened = initrd::open_image(image);
  if (!opened && opened.error().kind() == ErrorKind::kNotFound)
    return warning("there is no " + image.string() + " with an index beside it yet",
                   "'capsem run' packs it");
  if (!opened) return as_problem(opened.error(), kPacksAnew);
  FileInput input(opened->image, image);
  initrd::GuestRules rules{*host.manifest, opened->index};
  auto findings = initrd::verify(input, &rules);
  if (!findings) return as_problem(findings.error(), kPacksAnew);
  if (!findings->problems.empty())
    return warning("not what guest.toml says: " + first_and_more(findings->problems), kPacksAnew);
  return ok(std::to_string(opened->index.segments.size()) + " segments, " +
            human_size(opened->index.image_bytes) + ", as guest.toml and its index say");
}

}  // namespace capsem::cli
