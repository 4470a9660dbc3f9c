#include "guest/init/deploy.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "guest/init/entry_copier.h"
#include "guest/init/entry_mount.h"
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

  // From the first place with a copy that is accepted; why others were not goes to `refusals`, the
  // hashes of its files to `sums`.
  Result<DeployedEntry> deploy(const Entry& entry, std::vector<std::string>& refusals,
                               manifest::Sums& sums) {
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
      sums.merge(manifest::sums_of_entry((*place)->sums, entry.path));
      break;
    }
    return deployed;
  }

  // By the list of the initrd, when that was needed for any entry.
  std::optional<Digest> hash_of_init(const Entry& entry) const {
    const auto& initrd = places_.front();
    if (!initrd || !*initrd) return std::nullopt;
    auto listed = (*initrd)->sums.find(entry.path);
    return listed == (*initrd)->sums.end() ? std::nullopt : std::optional(listed->second);
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

}  // namespace

Result<> write_records(const manifest::Manifest& manifest, const Deployment& deployment,
                       const std::string& target) {
  struct Record {
    std::string path;
    std::uint32_t mode;
    std::string text;
  };
  for (const auto& [path, mode, text] :
       {Record{manifest::kTablePath, manifest::kTableMode, manifest::encode_table(manifest)},
        Record{manifest::kDeployedPath, manifest::kDeployedMode,
               manifest::encode_deployed(deployment.entries)},
        Record{manifest::kSumsPath, manifest::kSumsMode, manifest::encode_sums(deployment.sums)}}) {
    auto file = target + path.substr(std::string_view(manifest::kGuestRoot).size());
    if (auto written = write_file_atomically(file, text, mode); !written) return written;
  }
  return {};
}

Result<Deployment> deploy(const manifest::Manifest& manifest, const DeployRoots& roots) {
  Deployer deployer(roots);
  Deployment deployment;
  for (const auto& entry : manifest.entries) {
    if (entry.is_init()) continue;
    std::vector<std::string> refusals;
    auto deployed = deployer.deploy(entry, refusals, deployment.sums);
    if (!deployed) return propagate(deployed);
    if (deployed->origin == Origin::kAbsent) {
      refusals.push_back(absence(entry, !refusals.empty()));
      if (entry.essential) return fail("deploy", entry.name, join(refusals, "; "));
    }
    add_new(deployment.problems, std::move(refusals));
    deployment.entries.push_back(std::move(*deployed));
  }
  for (const auto& entry : manifest.entries)
    if (entry.is_init())
      deployment.init = {
          .name = entry.name, .origin = Origin::kInitrd, .sha256 = deployer.hash_of_init(entry)};
  return deployment;
}

Result<Deployed> deploy_for_new_root(const manifest::Manifest& manifest) {
  auto file_system = make_entry_file_system();
  if (!file_system) return propagate(file_system);
  const auto target = path_of(*file_system);
  auto deployment = deploy(manifest, {.initrd = "", .rootfs = kRootfs, .target = target});
  if (!deployment) return propagate(deployment);
  if (auto written = write_records(manifest, *deployment, target); !written)
    return propagate(written);
  if (auto sealed = seal(*file_system); !sealed) return propagate(sealed);
  return Deployed{std::move(*deployment), std::move(*file_system)};
}

}  // namespace capsem::guest::init
