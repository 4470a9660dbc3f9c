#include "initrd/plan.h"

#include <map>
#include <set>

#include "base/file.h"
#include "cpio/writer.h"
#include "manifest/policy.h"
#include "manifest/table.h"

namespace capsem::initrd {
namespace {

constexpr std::uint64_t kFileLimitBytes = 0xffffffff;  // what newc can say

PlannedFile planned(std::string path, std::uint32_t mode, std::string content) {
  PlannedFile file{.paths = {std::move(path)},
                   .mode = mode,
                   .directory = false,
                   .content = std::move(content),
                   .sha256 = {}};
  file.sha256 = sha256(as_bytes(file.content));
  return file;
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
  PlannedSegment segment{.name = "base", .files = {}, .entries = {}};
  for (const auto& path : directories)
    segment.files.push_back({.paths = {path}, .mode = manifest::kParentMode, .directory = true});
  segment.files.push_back(
      planned(manifest::kTablePath, manifest::kTableMode, manifest::encode_table(manifest)));
  return segment;
}

Result<PlannedFile> read_source(const manifest::SourceFile& source) {
  if (source.type == manifest::FileType::kDirectory)
    return PlannedFile{.paths = {source.path}, .mode = source.mode, .directory = true};
  auto content = read_file(source.source, kFileLimitBytes);
  if (!content) return propagate(content, "pack", source.entry->name);
  return planned(source.path, source.mode, std::move(*content));
}

class Planner {
 public:
  explicit Planner(const manifest::Manifest& manifest) {
    plan_.segments = {base_segment(manifest)};
  }

  void add(const manifest::SourceFile& source, PlannedFile file) {
    bool new_entry = plan_.entries.empty() || plan_.entries.back().name != source.entry->name;
    if (new_entry) plan_.entries.push_back({.name = source.entry->name, .segment = 0, .files = {}});
    auto& entry = plan_.entries.back();
    if (!file.directory)
      entry.files.push_back({.path = source.path,
                             .mode = file.mode,
                             .bytes = file.content.size(),
                             .sha256 = file.sha256});
    if (new_entry) entry.segment = segment_for(source, file);
    auto& segment = plan_.segments[entry.segment];
    if (new_entry) segment.entries.push_back(plan_.entries.size() - 1);
    if (joined_)
      segment.files.front().paths.push_back(source.path);
    else
      segment.files.push_back(std::move(file));
    joined_ = false;
  }

  Plan finish() { return std::move(plan_); }

 private:
  // The segment of a new entry: that of an earlier program with the same bytes, or a new one.
  std::size_t segment_for(const manifest::SourceFile& source, const PlannedFile& file) {
    std::size_t next = plan_.segments.size();
    if (source.entry->build) {
      auto [known, is_new] = programs_.emplace(std::pair(file.sha256, file.mode), next);
      joined_ = !is_new;
      if (joined_) return known->second;
    }
    plan_.segments.push_back({.name = source.entry->name, .files = {}, .entries = {}});
    return next;
  }

  Plan plan_;
  std::map<std::pair<Digest, std::uint32_t>, std::size_t> programs_;
  bool joined_ = false;
};

}  // namespace

Result<Plan> make_plan(const manifest::Manifest& manifest, const manifest::SourceTree& tree) {
  auto sources = manifest::list_sources(manifest, tree);
  if (!sources) return propagate(sources);
  Planner planner(manifest);
  for (const auto& source : *sources) {
    if (!source.entry->in_initrd) continue;
    auto file = read_source(source);
    if (!file) return propagate(file);
    planner.add(source, std::move(*file));
  }
  return planner.finish();
}

Result<std::vector<std::byte>> archive(const PlannedSegment& segment, std::uint32_t mtime) {
  cpio::Writer writer;
  for (const auto& file : segment.files) {
    std::vector<std::string> paths;
    paths.reserve(file.paths.size());
    for (const auto& path : file.paths) paths.push_back(path.substr(1));
    cpio::Attributes attributes{.permissions = file.mode, .mtime = mtime};
    auto added = file.directory ? writer.add_directory(paths.front(), attributes)
                                : writer.add_hard_links(paths, as_bytes(file.content), attributes);
    if (!added) return propagate(added, "pack", segment.name);
  }
  return writer.finish();
}

}  // namespace capsem::initrd
