#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "initrd/plan.h"

namespace capsem::initrd {
namespace {

using codec::Codec;

// How an image is cut. A segment begins with an empty window, so a codec that looks far back wants
// long ones, and a change costs the compression of one: docs/initrd.md has what each side costs.
struct Cut {
  std::uint64_t large_bytes;  // a file from this size on is a segment of its own
  std::uint64_t group_bytes;  // of smaller files, about this much goes together
};

Cut cut_for(Codec codec) {
  switch (codec) {
    case Codec::kZstd:
      return {.large_bytes = 768 << 10, .group_bytes = 8 << 20};
    case Codec::kXz:
      return {.large_bytes = 768 << 10, .group_bytes = 16 << 20};
    default:
      return {.large_bytes = 256 << 10, .group_bytes = 1 << 20};
  }
}

// Whether a segment may end behind this path: for one in 16, whatever is around it.
bool is_cut(const std::string& path) {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (unsigned char byte : path) hash = (hash ^ byte) * 16777619U;
  return (hash >> 16) % 16 == 0;
}

class Grouper {
 public:
  Grouper(Cut cut, bool in_order) : cut_(cut), in_order_(in_order) {}

  void add(Node node) {
    if (node.body_bytes >= cut_.large_bytes) {
      if (in_order_) end_group();
      large_.push_back({.name = node.paths.front()});
      large_.back().nodes.push_back(std::move(node));
      if (in_order_) end_group();
      return;
    }
    group_bytes_ += archive_bytes(std::span(&node, 1));
    const bool may_end = is_cut(node.paths.back());
    group_.nodes.push_back(std::move(node));
    if ((may_end && group_bytes_ >= cut_.group_bytes / 2) || group_bytes_ >= 2 * cut_.group_bytes)
      end_group();
  }

  std::vector<PlannedSegment> finish() {
    end_group();
    return std::move(segments_);
  }

 private:
  // The large files that came in between follow the group: their directories are in it or before.
  void end_group() {
    if (!group_.nodes.empty()) {
      group_.name = group_.nodes.front().paths.front();
      segments_.push_back(std::move(group_));
    }
    group_ = {};
    group_bytes_ = 0;
    std::ranges::move(large_, std::back_inserter(segments_));
    large_.clear();
  }

  Cut cut_;
  bool in_order_;
  std::vector<PlannedSegment> segments_;
  PlannedSegment group_;
  std::uint64_t group_bytes_ = 0;
  std::vector<PlannedSegment> large_;
};

// A path that comes twice: then the later record counts, and nothing may change places.
bool has_duplicates(const std::vector<Node>& nodes) {
  std::unordered_set<std::string_view> paths;
  for (const auto& node : nodes)
    for (const auto& path : node.paths)
      if (!paths.insert(path).second) return true;
  return false;
}

}  // namespace

Plan plan_nodes(ImageNodes nodes, Codec codec) {
  Plan plan{.boot_config = std::move(nodes.boot_config)};
  if (!nodes.early.empty())
    plan.segments.push_back(
        {.name = "early", .nodes = std::move(nodes.early), .codec = Codec::kNone});
  Grouper grouper(cut_for(codec), has_duplicates(nodes.nodes));
  for (auto& node : nodes.nodes) grouper.add(std::move(node));
  std::ranges::move(grouper.finish(), std::back_inserter(plan.segments));
  // An image of nothing is an archive of nothing.
  if (plan.segments.empty()) plan.segments.push_back({.name = "empty"});
  return plan;
}

}  // namespace capsem::initrd
