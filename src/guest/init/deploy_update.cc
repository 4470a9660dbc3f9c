#include "guest/init/deploy_update.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "base/text.h"
#include "guest/init/entry_copier.h"
#include "manifest/deployed.h"
#include "manifest/table.h"

namespace capsem::guest::init {
namespace {

using manifest::Entry;

constexpr std::uint64_t kRecordBytes = 1 << 20;

class Updater {
 public:
  Updater(const Update& update, const RunningSet& running, const std::string& target)
      : copier_(target),
        received_{.origin = Origin::kInitrd, .root = update.items, .sums = update.sums},
        kept_{.origin = Origin::kInitrd, .root = running.root, .sums = update.sums},
        of_rootfs_{.origin = Origin::kRootfs, .root = running.root, .sums = running.sums},
        running_(running) {}

  Result<DeployedEntry> deploy(const Entry& entry, manifest::Sums& sums) {
    if (!entry.in_initrd && find_deployed(running_.entries, entry.name) == nullptr)
      return DeployedEntry{.name = entry.name};
    const auto& place = place_of(entry);
    std::vector<std::string> refusals;
    auto copied = copier_.copy(entry, place, refusals);
    if (!copied) return propagate(copied, "deploy", entry.name);
    if (!*copied) return fail("deploy", entry.name, join(refusals, "; "));
    sums.merge(manifest::sums_of_entry(place.sums, entry.path));
    return DeployedEntry{.name = entry.name, .origin = origin_of(entry, place), .sha256 = *copied};
  }

 private:
  const Place& place_of(const Entry& entry) const {
    if (!entry.in_initrd) return of_rootfs_;
    struct stat status{};
    bool was_received = ::lstat((received_.root + entry.path).c_str(), &status) == 0;
    return was_received ? received_ : kept_;
  }

  // One that is kept, maybe the rootfs's, stays what it was.
  Origin origin_of(const Entry& entry, const Place& place) const {
    const auto* found = find_deployed(running_.entries, entry.name);
    return &place != &received_ && found != nullptr ? found->origin : place.origin;
  }

  EntryCopier copier_;
  Place received_;
  Place kept_;
  Place of_rootfs_;
  const RunningSet& running_;
};

}  // namespace

Result<RunningSet> read_records(const std::string& directory) {
  auto text_of = [&](const std::string& path, std::uint64_t limit) {
    return read_file(directory + path.substr(std::string_view(manifest::kGuestRoot).size()), limit);
  };
  RunningSet running;
  auto table = text_of(manifest::kTablePath, kRecordBytes);
  if (!table) return propagate(table);
  auto manifest = manifest::decode_table(*table);
  if (!manifest) return propagate(manifest);
  running.manifest = std::move(*manifest);
  auto deployed = text_of(manifest::kDeployedPath, kRecordBytes);
  if (!deployed) return propagate(deployed);
  auto entries = manifest::decode_deployed(*deployed);
  if (!entries) return propagate(entries);
  running.entries = std::move(*entries);
  auto listed = text_of(manifest::kSumsPath, manifest::kSumsLimitBytes);
  if (!listed) return propagate(listed);
  auto sums = manifest::decode_sums(*listed, manifest::kSumsPath);
  if (!sums) return propagate(sums);
  running.sums = std::move(*sums);
  return running;
}

Result<RunningSet> read_running_set(const std::string& root) {
  auto running = read_records(root + manifest::kGuestRoot);
  if (running) running->root = root;
  return running;
}

Result<Deployment> deploy_update(const Update& update, const RunningSet& running,
                                 const std::string& target) {
  Updater updater(update, running, target);
  Deployment deployment;
  for (const auto& entry : update.manifest.entries) {
    if (entry.is_init()) continue;
    auto deployed = updater.deploy(entry, deployment.sums);
    if (!deployed) return propagate(deployed);
    if (deployed->origin == Origin::kAbsent && entry.essential)
      return fail("deploy", entry.name, "it is not in the rootfs that runs", "start the VM again");
    deployment.entries.push_back(std::move(*deployed));
  }
  return deployment;
}

}  // namespace capsem::guest::init
