#include "guest/init/deploy.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "guest/init/entry_copier.h"
#include "guest/init/mounts.h"
#include "manifest/deployed.h"
#include "manifest/policy.h"
#include "manifest/table.h"

namespace capsem::guest::init {
namespace {

using manifest::Entry;

// In the order in which they are tried.
struct PlaceRow {
  Origin origin;
  bool Entry::* listed;
  std::string DeployRoots::* root;
  const char* how_to_list;  // what makes its list of hashes
};
constexpr std::array kPlaces = {
    PlaceRow{Origin::kInitrd, &Entry::in_initrd, &DeployRoots::initrd, "capsem initrd pack"},
    PlaceRow{Origin::kRootfs, &Entry::in_rootfs, &DeployRoots::rootfs, "capsem build-assets"},
};

Result<manifest::Sums> read_sums(const PlaceRow& row, const std::string& root) {
  const auto where = manifest::kSumsPath + (" of the " + std::string(name_of(row.origin)));
  auto text = read_file(root + manifest::kSumsPath, manifest::kSumsLimitBytes);
  auto sums = text ? manifest::decode_sums(*text, where) : propagate(text);
  if (sums) return sums;
  return fail("check", "the copies of the " + std::string(name_of(row.origin)),
              sums.error().kind() == ErrorKind::kNotFound
                  ? std::string("it has no ") + manifest::kSumsPath
                  : sums.error().message(),
              "make it anew with '" + std::string(row.how_to_list) + "'", ErrorKind::kInvalid);
}

class Deployer {
 public:
  explicit Deployer(const DeployRoots& roots) : roots_(roots), copier_(roots.target) {}

  // From the first place with a copy that is accepted; why others were not goes to `refusals`.
  Result<DeployedEntry> deploy(const Entry& entry, std::vector<std::string>& refusals) {
    DeployedEntry deployed{.name = entry.name};
    for (std::size_t i = 0; i < kPlaces.size(); ++i) {
      const auto& row = kPlaces[i];
      if (!(entry.*row.listed) || !has_copy(entry, roots_.*row.root)) continue;
      auto& place = places_[i];
      if (!place) place.emplace(open(row));
      if (!*place) {
        refusals.push_back(place->error().message());
        continue;
      }
      auto copied = copier_.copy(entry, **place, refusals);
      if (!copied) return propagate(copied, "deploy", entry.name);
      if (!*copied) continue;
      deployed.origin = row.origin;
      deployed.sha256 = **copied;
      break;
    }
    return deployed;
  }

 private:
  // Anything but its absence is for the copier to find, and to refuse.
  static bool has_copy(const Entry& entry, const std::string& root) {
    struct stat status{};
    return ::lstat((root + entry.path).c_str(), &status) == 0 || errno != ENOENT;
  }

  // A place is only asked for its hashes when an entry is to be taken from it: an old rootfs that
  // has none is as good as any while nothing of it is needed.
  Result<Place> open(const PlaceRow& row) const {
    auto sums = read_sums(row, roots_.*row.root);
    if (!sums) return propagate(sums);
    return Place{.origin = row.origin, .root = roots_.*row.root, .sums = std::move(*sums)};
  }

  const DeployRoots& roots_;
  EntryCopier copier_;
  std::array<std::optional<Result<Place>>, kPlaces.size()> places_;
};

std::string absence(const Entry& entry, bool refused) {
  if (refused) return entry.name + " is absent: no copy of it was accepted";
  if (entry.in_initrd && entry.in_rootfs)
    return entry.name + " is neither in the initrd nor in the rootfs";
  return entry.name + " is not in the " + (entry.in_initrd ? "initrd" : "rootfs");
}

// What concerns a whole place is said once.
void add_new(std::vector<std::string>& problems, std::vector<std::string> found) {
  for (auto& problem : found)
    if (std::ranges::find(problems, problem) == problems.end())
      problems.push_back(std::move(problem));
}

// What else lies in the guest's /capsem, which `target` becomes.
Result<> write_records(const manifest::Manifest& manifest, std::span<const DeployedEntry> entries,
                       const std::string& target) {
  struct Record {
    std::string path;
    std::uint32_t mode;
    std::string text;
  };
  for (const auto& [path, mode, text] :
       {Record{manifest::kTablePath, manifest::kTableMode, manifest::encode_table(manifest)},
        Record{manifest::kDeployedPath, manifest::kDeployedMode,
               manifest::encode_deployed(entries)}}) {
    auto file = target + path.substr(std::string_view(manifest::kGuestRoot).size());
    if (auto written = write_file_atomically(file, text, mode); !written) return written;
  }
  return {};
}

}  // namespace

Result<Deployment> deploy(const manifest::Manifest& manifest, const DeployRoots& roots) {
  Deployer deployer(roots);
  Deployment deployment;
  for (const auto& entry : manifest.entries) {
    if (entry.is_init()) continue;
    std::vector<std::string> refusals;
    auto deployed = deployer.deploy(entry, refusals);
    if (!deployed) return propagate(deployed);
    if (deployed->origin == Origin::kAbsent) {
      refusals.push_back(absence(entry, !refusals.empty()));
      if (entry.essential) return fail("deploy", entry.name, join(refusals, "; "));
    }
    add_new(deployment.problems, std::move(refusals));
    deployment.entries.push_back(std::move(*deployed));
  }
  return deployment;
}

Result<Deployment> deploy_for_new_root(const manifest::Manifest& manifest) {
  std::string target = kDeployment;
  auto mounted =
      mount_file_system("capsem", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=128m");
  if (!mounted) return propagate(mounted);
  auto deployment = deploy(manifest, {.initrd = "", .rootfs = kRootfs, .target = target});
  if (!deployment) return deployment;
  if (auto written = write_records(manifest, deployment->entries, target); !written)
    return propagate(written);
  unsigned long flags = MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (::mount(nullptr, target.c_str(), nullptr, flags, nullptr) != 0)
    return fail_system("make read-only", target, errno);
  return deployment;
}

}  // namespace capsem::guest::init
