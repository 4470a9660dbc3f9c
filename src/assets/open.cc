#include "assets/open.h"

#include <sys/stat.h>

#include <cerrno>

#include "assets/publish.h"
#include "assets/verified.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxIndexBytes = 256 << 10;
constexpr const char* kRecordName = "verified-assets.json";
constexpr const char* kAdvice = "build the assets with: capsem build-assets";

Result<std::string> read_index_text(const fs::path& directory) {
  auto path = directory / kIndexName;
  auto file = open_published(directory, kIndexName);
  if (!file && file.error().kind() == ErrorKind::kNotFound)
    return fail("find the assets in", directory, "they were never built, or not to the end",
                kAdvice, ErrorKind::kNotFound);
  if (!file) return propagate(file);
  std::string text(kMaxIndexBytes, '\0');
  auto size = read_full(*file, std::as_writable_bytes(std::span(text)), path);
  if (!size) return propagate(size);
  text.resize(*size);
  return text;
}

Result<Fd> open_verified(const fs::path& directory, const AssetFile& wanted,
                         VerifiedFiles& verified) {
  auto path = directory / wanted.name;
  auto file = open_published(directory, wanted.name);
  if (!file && file.error().kind() == ErrorKind::kNotFound)
    return fail("use", path, "it is missing", kAdvice, ErrorKind::kDamaged);
  if (!file) return propagate(file);
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return fail_system("look at", path, errno);
  if (!S_ISREG(status.st_mode))
    return fail("use", path, "it is not a regular file", kAdvice, ErrorKind::kDamaged);
  if (static_cast<std::uint64_t>(status.st_size) != wanted.size_bytes)
    return fail("use", path,
                "it is damaged: it has " + std::to_string(status.st_size) + " bytes, " +
                    std::to_string(wanted.size_bytes) + " were built",
                kAdvice, ErrorKind::kDamaged);
  auto digest = verified.hash(*file, fs::absolute(path), path);
  if (!digest) return propagate(digest);
  if (*digest != wanted.sha256)
    return fail("use", path, "it is damaged: its content does not match its hash", kAdvice,
                ErrorKind::kDamaged);
  return file;
}

Error not_named(const fs::path& directory, const char* name) {
  return {"use", directory / kIndexName, std::string("it does not name ") + name, kAdvice,
          ErrorKind::kDamaged};
}

Result<Assets> open_set(const fs::path& directory, Index index, Wanted wanted_parts,
                        VerifiedFiles& verified) {
  Assets assets{.index = std::move(index)};
  assets.kernel_is_vmlinux = assets.index.find(kKernelName) != nullptr;
  struct Part {
    const char* name;
    Fd Assets::* fd;
  };
  const Part parts[] = {
      {assets.kernel_is_vmlinux ? kKernelName : kCompressedKernelName, &Assets::kernel},
      {kModulesName, &Assets::modules},
      {kRootfsName, &Assets::rootfs}};
  for (const auto& part : parts) {
    if (wanted_parts == Wanted::kModules && part.fd != &Assets::modules) continue;
    const auto* wanted = assets.index.find(part.name);
    if (wanted == nullptr) return std::unexpected(not_named(directory, part.name));
    auto file = open_verified(directory, *wanted, verified);
    if (!file) return propagate(file);
    assets.*part.fd = std::move(*file);
  }
  return assets;
}

}  // namespace

Result<Index> read_index(const fs::path& directory) {
  auto text = read_index_text(directory);
  if (!text) return propagate(text);
  return decode_index(*text, directory / kIndexName);
}

Result<Assets> open_assets(const fs::path& directory, const fs::path& cache_directory,
                           Wanted wanted) {
  auto verified = VerifiedFiles::load(cache_directory / kRecordName);
  // A build may publish between reading the index and opening the files: then the index is
  // another one afterwards, and it is this one that counts. A set that stays as it is fails at
  // once.
  for (;;) {
    auto text = read_index_text(directory);
    if (!text) return propagate(text);
    auto index = decode_index(*text, directory / kIndexName);
    if (!index) return propagate(index);
    auto assets = open_set(directory, std::move(*index), wanted, verified);
    verified.save();
    if (assets || assets.error().kind() != ErrorKind::kDamaged) return assets;
    auto again = read_index_text(directory);
    if (!again || *again == *text) return assets;
  }
}

Result<SetHealth> check_set(const fs::path& directory, const fs::path& cache_directory) {
  auto index = read_index(directory);
  if (!index) return propagate(index);
  auto verified =
      VerifiedFiles::load(cache_directory.empty() ? fs::path() : cache_directory / kRecordName);
  SetHealth health{.index = std::move(*index), .problems = {}};
  for (const auto& file : health.index.files) {
    health.total_bytes += file.size_bytes;
    auto opened = open_verified(directory, file, verified);
    if (!opened) health.problems.push_back(std::move(opened).error());
  }
  for (const char* name : {kModulesName, kRootfsName})
    if (health.index.find(name) == nullptr) health.problems.push_back(not_named(directory, name));
  if (health.index.find(kKernelName) == nullptr &&
      health.index.find(kCompressedKernelName) == nullptr)
    health.problems.push_back(not_named(directory, kCompressedKernelName));
  health.files_read = verified.files_read();
  return health;
}

}  // namespace capsem::assets
