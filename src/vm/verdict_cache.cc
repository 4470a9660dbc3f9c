#include "vm/verdict_cache.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace capsem::vm {
namespace {

constexpr const char* kFileName = "kvm-verdict.json";
constexpr std::uint64_t kMaxFileBytes = 64 << 10;

}  // namespace

VerdictCache::VerdictCache(std::filesystem::path directory, std::string key)
    : directory_(std::move(directory)), key_(std::move(key)) {}

std::optional<Finding> VerdictCache::load() const {
  if (key_.empty()) return std::nullopt;
  auto text = read_file(directory_ / kFileName, kMaxFileBytes);
  if (!text) return std::nullopt;
  auto file = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!file.is_object() || file.value("key", nlohmann::json()) != key_) return std::nullopt;
  for (const char* flag : {"works", "probed"})
    if (!file.contains(flag) || !file[flag].is_boolean()) return std::nullopt;
  for (const char* text_member : {"reason", "advice"})
    if (!file.contains(text_member) || !file[text_member].is_string()) return std::nullopt;
  return Finding{.works = file["works"].get<bool>(),
                 .probed = file["probed"].get<bool>(),
                 .reason = printable(file["reason"].get<std::string>()),
                 .advice = printable(file["advice"].get<std::string>())};
}

Result<> VerdictCache::store(const Finding& finding) const {
  if (key_.empty()) return {};
  if (auto made = make_directories(directory_, 0700); !made) return made;
  nlohmann::json file = {{"key", key_},
                         {"works", finding.works},
                         {"probed", finding.probed},
                         {"reason", finding.reason},
                         {"advice", finding.advice}};
  return write_file_atomically(directory_ / kFileName, json_text(file, 2) + "\n");
}

void VerdictCache::forget(const std::filesystem::path& directory) {
  std::error_code ignored;  // then the next failure forgets it
  std::filesystem::remove(directory / kFileName, ignored);
}

std::string file_identity(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  // Using a device changes its node's time of modification; making the node, and whoever may use
  // it, that of its change.
  const auto& time = S_ISCHR(status.st_mode) ? status.st_ctim : status.st_mtim;
  std::string identity;
  for (std::uint64_t part :
       {std::uint64_t{status.st_dev}, std::uint64_t{status.st_ino},
        static_cast<std::uint64_t>(status.st_size), static_cast<std::uint64_t>(time.tv_sec),
        static_cast<std::uint64_t>(time.tv_nsec), std::uint64_t{status.st_rdev}}) {
    if (!identity.empty()) identity += ':';
    identity += std::to_string(part);
  }
  return identity;
}

}  // namespace capsem::vm
