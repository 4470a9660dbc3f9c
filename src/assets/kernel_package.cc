#include "assets/kernel_package.h"

#include <cerrno>
#include <cstdint>

#include "base/file.h"
#include "base/process.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

// The only entry of a directory, without a `prefix` that it has to begin with.
std::string only_entry(const fs::path& directory, std::string_view prefix) {
  std::string found;
  std::error_code error;
  for (fs::directory_iterator walk(directory, error); !error && walk != fs::end(walk);
       walk.increment(error)) {
    auto name = walk->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    if (!found.empty()) return {};
    found = name.substr(prefix.size());
  }
  return found;
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
  UnpackedKernel kernel{.release = only_entry(directory / "boot", "vmlinuz-")};
  kernel.image = directory / "boot" / ("vmlinuz-" + kernel.release);
  kernel.modules = directory / "lib/modules" / kernel.release;
  std::error_code error;
  if (kernel.release.empty() || !fs::is_directory(kernel.modules, error))
    return fail("use the kernel package", package, "it does not hold one kernel and its modules",
                "fetch it again with: capsem build-assets --refresh", ErrorKind::kDamaged);
  return kernel;
}

}  // namespace capsem::assets
