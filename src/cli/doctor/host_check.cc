#include "cli/doctor/host_check.h"

#include <sys/statvfs.h>

#include <array>
#include <cerrno>

#include "cli/doctor/host_check_functions.h"
#include "manifest/parse.h"

namespace capsem::cli {
namespace {

constexpr std::array kChecks = {
    HostCheck{"installation", Needs::kNothing, check_installation},
    HostCheck{"QEMU", Needs::kNothing, check_qemu},
    HostCheck{"accelerator", Needs::kNothing, check_accelerator},
    HostCheck{"guest.toml", Needs::kLayout, check_guest_toml},
    HostCheck{"guest programs", Needs::kManifest, check_guest_programs},
    HostCheck{"assets", Needs::kLayout, check_assets},
    HostCheck{"rootfs inputs", Needs::kManifest, check_rootfs_inputs},
    HostCheck{"build-assets tools", Needs::kManifest, check_build_tools},
    HostCheck{"initrd", Needs::kManifest, check_initrd},
    HostCheck{"assets directory", Needs::kLayout, check_assets_directory},
    HostCheck{"cache directory", Needs::kLayout, check_cache_directory},
    HostCheck{"temporary directory", Needs::kNothing, check_temporary_directory},
    HostCheck{"segment cache", Needs::kLayout, check_segment_cache},
    HostCheck{"leftovers", Needs::kLayout, check_leftovers},
};

bool has_what_it_needs(const HostCheck& check, const Host& host) {
  switch (check.needs) {
    case Needs::kNothing:
      return true;
    case Needs::kLayout:
      return host.layout.has_value();
    case Needs::kManifest:
      return host.layout.has_value() && host.manifest.has_value();
  }
  return false;
}

}  // namespace

const char* name(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarning:
      return "warning";
    case Health::kProblem:
      break;
  }
  return "problem";
}

Result<std::uint64_t> available_bytes(const std::filesystem::path& directory) {
  struct statvfs status{};
  if (::statvfs(directory.c_str(), &status) != 0)
    return fail_system("ask for the free space of", directory, errno);
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

Host Host::find(bool deep) {
  auto layout = prepare::find_layout();
  auto manifest = layout ? manifest::load(layout->guest_toml)
                         : Result<manifest::Manifest>(std::unexpected(layout.error()));
  vm::AcceleratorQuery query;
  query.remember = false;
  if (layout) query.cache_directory = layout->cache;
  std::error_code error;
  auto temporary = std::filesystem::temp_directory_path(error);
  return {.layout = std::move(layout),
          .manifest = std::move(manifest),
          .accelerator = std::move(query),
          .temporary = std::move(temporary),
          .available_bytes = cli::available_bytes,
          .deep = deep};
}

std::span<const HostCheck> host_checks() {
  return kChecks;
}

std::vector<CheckResult> run_host_checks(const Host& host) {
  using Clock = std::chrono::steady_clock;
  std::vector<CheckResult> results;
  for (const auto& check : kChecks) {
    if (!has_what_it_needs(check, host)) continue;
    auto begin = Clock::now();
    auto observation = check.look(host);
    results.push_back(
        {check.name, std::move(observation),
         std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin)});
  }
  return results;
}

}  // namespace capsem::cli
