#include "cli/vm/deploy_choice.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "manifest/table.h"

namespace capsem::cli {
namespace {

using manifest::Entry;

class Chooser {
 public:
  Chooser(const manifest::Manifest& manifest, const prepare::GuestFiles& files,
          const wire::DeployState& state, const manifest::Manifest& running)
      : manifest_(manifest), files_(files), state_(state), running_(running) {}

  Result<DeployChoice> run() {
    for (const auto& entry : manifest_.entries) sort(entry);
    for (const auto& entry : running_.entries)
      if (find(manifest_, entry.name) == nullptr) choice_.removed.push_back(printable(entry.name));
    auto table = manifest::encode_table(manifest_);
    if (choice_.changed.empty() && table == state_.table) return std::move(choice_);
    client::DeployOrder order{
        .set = {.table = std::move(table), .sums = manifest::encode_sums(files_.sums)},
        .items = {}};
    if (auto listed = list_items(order.items); !listed) return propagate(listed);
    choice_.order = std::move(order);
    return std::move(choice_);
  }

 private:
  static const Entry* find(const manifest::Manifest& manifest, const std::string& name) {
    auto found = std::ranges::find(manifest.entries, name, &Entry::name);
    return found == manifest.entries.end() ? nullptr : &*found;
  }

  // Its line of the table, but for where it goes, which the guest does not ask.
  static std::string settings(const Entry* entry) {
    return entry == nullptr ? "" : manifest::encode_table({.file = {}, .entries = {*entry}});
  }

  void sort(const Entry& entry) {
    auto there = std::ranges::find(state_.entries, entry.name, &DeployedEntry::name);
    bool same_content = there != state_.entries.end() &&
                        there->sha256 == manifest::entry_hash(files_.sums, entry.path);
    const auto* before = find(running_, entry.name);
    bool same_place = before != nullptr && before->path == entry.path && before->mode == entry.mode;
    if (entry.is_init())
      return (same_content ? choice_.unchanged : choice_.next_boot).push_back(entry.name);
    if (!entry.in_initrd)
      return (same_content ? choice_.unchanged : choice_.new_rootfs).push_back(entry.name);
    if (!same_content || !same_place) sent_.insert(entry.name);
    bool changed = sent_.contains(entry.name) || settings(before) != settings(&entry);
    (changed ? choice_.changed : choice_.unchanged).push_back(entry.name);
  }

  // The names of one file are sent as such, as they are packed.
  Result<> list_items(std::vector<client::DeployedItem>& items) const {
    std::map<std::tuple<dev_t, ino_t, std::uint32_t>, std::size_t> known;
    for (const auto& source : files_.sources) {
      if (!sent_.contains(source.entry->name)) continue;
      client::DeployedItem item{.source = source.source,
                                .paths = {source.path},
                                .mode = source.mode,
                                .directory = source.type == manifest::FileType::kDirectory};
      if (!item.directory) {
        struct stat status{};
        if (::stat(source.source.c_str(), &status) != 0)
          return fail_system("look at", source.source, errno);
        auto [first, is_new] =
            known.emplace(std::tuple(status.st_dev, status.st_ino, source.mode), items.size());
        if (!is_new && items[first->second].paths.size() < wire::kMostItemPaths) {
          items[first->second].paths.push_back(source.path);
          continue;
        }
      }
      items.push_back(std::move(item));
    }
    return {};
  }

  const manifest::Manifest& manifest_;
  const prepare::GuestFiles& files_;
  const wire::DeployState& state_;
  const manifest::Manifest& running_;
  std::set<std::string> sent_;
  DeployChoice choice_;
};

}  // namespace

Result<DeployChoice> choose_deploy(const manifest::Manifest& manifest,
                                   const prepare::GuestFiles& files,
                                   const wire::DeployState& state) {
  auto running = manifest::decode_table(state.table);
  if (!running) return propagate(running, "read", "what the guest runs");
  return Chooser(manifest, files, state, *running).run();
}

}  // namespace capsem::cli
