#include "prepare/layout.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "assets/index.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/user_directories.h"

namespace capsem::prepare {
namespace {

namespace fs = std::filesystem;

// Written by CMake beside the executable it builds; an installed one has none.
constexpr const char* kCheckoutFile = "checkout.json";
constexpr std::uint64_t kCheckoutLimitBytes = 1 << 16;

Result<Layout> checkout_layout(const std::string& text, const fs::path& file) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("source") || !json["source"].is_string() ||
      !json.contains("build") || !json["build"].is_string())
    return fail("read", file, "it does not say where source and build are",
                "configure the build again", ErrorKind::kInvalid);
  fs::path source = json["source"].get<std::string>();
  fs::path build = json["build"].get<std::string>();
  auto assets = source / "assets" / kArchitecture;
  return Layout{.checkout = true,
                .build = build,
                .guest_toml = source / "guest.toml",
                .config = source / "guest/config",
                .sources = {.root = source, .programs = build / "guest"},
                .assets = assets,
                .image = assets / "initrd.img",
                .cache = {}};
}

// An installation may be read-only, so its image lies in the cache.
Layout installed_layout(const fs::path& root, const fs::path& cache) {
  auto identity = sha256(as_bytes(root.native())).hex().substr(0, 16);
  return Layout{.checkout = false,
                .build = {},
                .guest_toml = root / "guest.toml",
                .config = root / "guest/config",
                .sources = {.root = root, .programs = root / "programs"},
                .assets = root / "assets" / kArchitecture,
                .image = cache / "initrd" / identity / "initrd.img",
                .cache = {}};
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

}  // namespace

std::uint64_t assets_built_at(const Layout& layout) {
  // The file that is written last of them.
  struct stat status{};
  if (::stat((layout.assets / assets::kIndexName).c_str(), &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_mtime);
}

std::string in_words_of_here(std::string message) {
  auto executable = running_executable();
  std::error_code error;
  if (!executable || !fs::exists(executable->parent_path() / kCheckoutFile, error)) return message;
  return replaced(std::move(message), "capsem build-assets", "./dev build-assets");
}

Result<Layout> layout_around(const fs::path& executable, const fs::path& cache) {
  auto directory = executable.parent_path();
  auto checkout_file = directory / kCheckoutFile;
  auto text = read_file(checkout_file, kCheckoutLimitBytes);
  if (text) {
    auto layout = checkout_layout(*text, checkout_file);
    if (layout) layout->cache = cache;
    return layout;
  }
  if (text.error().kind() != ErrorKind::kNotFound) return propagate(text);
  // A helper lies in the root itself.
  auto root = directory.parent_path() / kInstalledRoot;
  for (const auto& candidate : {root, directory}) {
    std::error_code error;
    if (!fs::exists(candidate / "guest.toml", error)) continue;
    auto layout = installed_layout(candidate, cache);
    layout.cache = cache;
    return layout;
  }
  return fail("find", "the guest's files",
              "there is neither " + checkout_file.string() + " nor " + root.string(),
              "run capsem from its build folder or install it with 'cmake --install'",
              ErrorKind::kNotFound);
}

Result<fs::path> running_executable() {
  std::error_code error;
  auto executable = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail("find", "the running executable", error.message());
  return executable;
}

Result<Layout> find_layout() {
  auto executable = running_executable();
  if (!executable) return propagate(executable);
  auto cache = cache_directory();
  if (!cache) return propagate(cache);
  return layout_around(*executable, *cache);
}

}  // namespace capsem::prepare
