#include "initrd/plan_check.h"

#include <algorithm>
#include <unordered_map>

#include "base/fd.h"
#include "initrd/init_check.h"
#include "initrd/tree.h"

namespace capsem::initrd {
namespace {

constexpr std::string_view kInit = "init";

// At most `most` bytes of the node's content.
std::string start_of(const Node& node, std::size_t most) {
  std::string start;
  [[maybe_unused]] auto read =
      read_content(node, [&](std::span<const std::byte> piece) -> Result<> {
        start += as_text(piece).substr(0, most - start.size());
        if (start.size() < most) return {};
        return fail("read", "more of it", "it is enough");  // ends the reading
      });
  return start;
}

bool makes_init(const Plan& plan) {
  return std::ranges::any_of(plan.segments, [](const PlannedSegment& segment) {
    return std::ranges::any_of(segment.nodes, [](const Node& node) {
      return std::ranges::find(node.paths, kInit) != node.paths.end();
    });
  });
}

// Each of the hard links of a file as a file: what it holds is the same.
cpio::Record record_of(const Node& node, const std::string& path) {
  cpio::Record record;
  record.header.mode = node.metadata.mode;
  record.path = path;
  if (node.type() == cpio::kRegular || node.type() == cpio::kSymlink)
    record.body_bytes = node.body_bytes;
  return record;
}

}  // namespace

std::optional<std::string> why_no_init(const Plan& plan) {
  if (!makes_init(plan)) return std::nullopt;
  Tree tree;
  std::unordered_map<Tree::FileId, const Node*> files;
  for (const auto& segment : plan.segments)
    for (const auto& node : segment.nodes) {
      Body body;
      if (node.type() == cpio::kSymlink) body.target = start_of(node, cpio::kMaxNameBytes);
      for (const auto& path : node.paths)
        if (auto id = tree.add(record_of(node, path), body); id) files[*id] = &node;
    }
  InitCheck check;
  std::string program(kInit);
  // The program, its interpreter, and so on; each once, as they may lead in circles.
  while (auto id = tree.lookup(program)) {
    auto file = files.extract(*id);
    if (file.empty()) break;
    check.see(*id, start_of(*file.mapped(), InitCheck::kHeadBytes));
    program = check.interpreter(*id);
    if (program.empty()) break;
  }
  return check.why_not(tree);
}

}  // namespace capsem::initrd
