#include "assets/kernel_package.h"

#include <cerrno>
#include <cstdint>

#include "base/directory.h"
#include "base/file.h"
#include "base/process.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

// The only entry of a directory that begins with `prefix`, without that; empty for none or several.
Result<std::string> only_entry(const fs::path& directory, std::string_view prefix) {
  auto names = names_in(directory);
  if (!names) return propagate(names);
  std::erase_if(*names, [&](const auto& name) { return !name.starts_with(prefix); });
  return names->size() == 1 ? names->front().substr(prefix.size()) : std::string();
}

// dpkg-deb's last line does not tell; what it wrote until then is still there.
bool is_full(const fs::path& directory) {
  constexpr std::uintmax_t kLittleBytes = 1 << 20;
  std::error_code error;
  auto space = fs::space(directory, error);
  return !error && space.available < kLittleBytes;
}

}  // namespace

Result<UnpackedKernel> unpack_kernel_package(const fs::path& package, const fs::path& directory) {
  if (auto made = make_directories(directory); !made) return propagate(made);
  auto unpacked = run_for_output({.argv = {"dpkg-deb", "--extract", package, directory}});
  if (!unpacked && is_full(directory))
    return fail_system("unpack the kernel into", directory, ENOSPC, "free some space");
  if (!unpacked) return propagate(unpacked, "unpack", package);
  auto release = only_entry(directory / "boot", "vmlinuz-");
  if (!release && release.error().kind() != ErrorKind::kNotFound) return propagate(release);
  UnpackedKernel kernel{.release = release.value_or("")};
  kernel.image = directory / "boot" / ("vmlinuz-" + kernel.release);
  kernel.modules = directory / "lib/modules" / kernel.release;
  std::error_code error;
  if (kernel.release.empty() || !fs::is_directory(kernel.modules, error))
    return fail("use the kernel package", package, "it does not hold one kernel and its modules",
                "fetch it again with: capsem build-assets --refresh", ErrorKind::kDamaged);
  return kernel;
}

}  // namespace capsem::assets
