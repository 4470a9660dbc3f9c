#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>

#include "base/text.h"
#include "initrd/plan.h"
#include "manifest/policy.h"
#include "manifest/sums.h"
#include "manifest/table.h"

namespace capsem::initrd {
namespace {

// newc paths are relative to the root.
std::string archived(const std::string& path) {
  return path.substr(1);
}

Node directory_node(const std::string& path, std::uint32_t permissions) {
  Node node;
  node.paths.push_back(archived(path));
  node.metadata.mode = cpio::kDirectory | permissions;
  return node;
}

PlannedSegment base_segment(const manifest::Manifest& manifest) {
  std::set<std::string> directories;
  auto add_parents = [&](std::filesystem::path path) {
    for (path = path.parent_path(); path != "/"; path = path.parent_path())
      directories.insert(path.string());
  };
  add_parents(manifest::kTablePath);
  for (const auto& entry : manifest.entries)
    if (entry.in_initrd) add_parents(entry.path);
  PlannedSegment segment{.name = "base"};
  for (const auto& path : directories)
    segment.nodes.push_back(directory_node(path, manifest::kParentMode));
  segment.nodes.push_back(node_of_bytes(archived(manifest::kTablePath),
                                        cpio::kRegular | manifest::kTableMode,
                                        manifest::encode_table(manifest)));
  return segment;
}

class Planner {
 public:
  Planner(const manifest::Manifest& manifest, const Fd* modules, const PackRecord& record)
      : record_(record) {
    if (modules != nullptr) plan_.segments.push_back({.name = "modules", .copied = modules});
    plan_.segments.push_back(base_segment(manifest));
  }

  Result<> add(const manifest::SourceFile& source) {
    auto node = node_of(source);
    if (!node) return propagate(node, "pack", source.entry->name);
    const bool new_entry = plan_.entries.empty() || plan_.entries.back().name != source.entry->name;
    bool joined = false;
    if (new_entry) {
      auto [segment, is_known] = segment_for(source, *node);
      plan_.entries.push_back({.name = source.entry->name, .segment = segment, .files = {}});
      joined = is_known;
    }
    auto& entry = plan_.entries.back();
    if (node->type() == cpio::kRegular)
      entry.files.push_back({.path = source.path,
                             .mode = source.mode,
                             .bytes = node->body_bytes,
                             .sha256 = *node->sha256});
    auto& nodes = plan_.segments[entry.segment].nodes;
    if (joined) nodes.front().paths.push_back(archived(source.path));
    (joined ? plan_.joined : nodes).push_back(std::move(*node));
    return {};
  }

  // A program's new hash is the base segment's no concern, nor the other programs'.
  Plan finish() {
    manifest::Sums sums;
    for (const auto& entry : plan_.entries)
      for (const auto& file : entry.files) sums.emplace(file.path, file.sha256);
    plan_.segments.push_back({.name = "hashes"});
    plan_.segments.back().nodes.push_back(node_of_bytes(archived(manifest::kSumsPath),
                                                        cpio::kRegular | manifest::kSumsMode,
                                                        manifest::encode_sums(sums)));
    return std::move(plan_);
  }

 private:
  Result<Node> node_of(const manifest::SourceFile& source) {
    if (source.type == manifest::FileType::kDirectory)
      return directory_node(source.path, source.mode);
    struct stat status{};
    if (::stat(source.source.c_str(), &status) != 0)
      return fail_system("look at", source.source, errno);
    Node node;
    node.paths.push_back(archived(source.path));
    node.metadata.mode = cpio::kRegular | source.mode;
    node.content.file = source.source;
    node.content.identity = identity_of(status);
    node.body_bytes = node.content.identity->size_bytes;
    auto hash = hash_of(node);
    if (!hash) return propagate(hash);
    node.sha256 = *hash;
    return node;
  }

  // Hard links of one file on the host are read once.
  Result<Digest> hash_of(const Node& node) {
    if (auto known = record_.find_file(node.content)) return *known;
    auto key = std::pair(node.content.identity->device, node.content.identity->inode);
    if (auto known = hashed_.find(key); known != hashed_.end()) return known->second;
    auto digest = hash_content(node);
    if (!digest) return digest;
    return hashed_.emplace(key, *digest).first->second;
  }

  // The segment of a new entry: that of an earlier program with the same bytes, or a new one.
  std::pair<std::size_t, bool> segment_for(const manifest::SourceFile& source, const Node& node) {
    const std::size_t next = plan_.segments.size();
    if (source.entry->build) {
      auto [known, is_new] = programs_.emplace(std::pair(*node.sha256, source.mode), next);
      if (!is_new) return {known->second, true};
    }
    plan_.segments.push_back({.name = source.entry->name});
    return {next, false};
  }

  const PackRecord& record_;
  Plan plan_;
  std::map<std::pair<Digest, std::uint32_t>, std::size_t> programs_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Digest> hashed_;
};

}  // namespace

Result<Plan> plan_guest(const manifest::Manifest& manifest, const manifest::SourceTree& tree,
                        const Fd* modules, const PackRecord& record) {
  auto sources = manifest::list_sources(manifest, tree);
  if (!sources) return propagate(sources);
  Planner planner(manifest, modules, record);
  for (const auto& source : *sources) {
    if (!source.entry->in_initrd) continue;
    if (!is_utf8(source.path))
      return fail("pack", printable(source.path),
                  "its name is no valid UTF-8, and the image's index can hold no other",
                  "rename it", ErrorKind::kInvalid);
    if (auto added = planner.add(source); !added) return propagate(added);
  }
  return planner.finish();
}

}  // namespace capsem::initrd
