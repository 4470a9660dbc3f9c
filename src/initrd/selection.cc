#include "initrd/selection.h"

#include <fnmatch.h>

#include <algorithm>

#include "initrd/record_rules.h"

namespace capsem::initrd {
namespace {

constexpr std::size_t kMaxLinked = 1 << 20;  // the memory for them has to end somewhere

bool matches_path(const std::string& pattern, const std::string& path) {
  return pattern == "." || ::fnmatch(pattern.c_str(), path.c_str(), FNM_LEADING_DIR) == 0;
}

}  // namespace

bool Selection::matches(const cpio::Record& record) const {
  const auto path = plain_path(record.path);
  return std::ranges::any_of(
      patterns_, [&](const std::string& pattern) { return matches_path(pattern, path); });
}

Result<Selection> Selection::by_patterns(ImageReader& image, std::vector<std::string> patterns) {
  Selection selection;
  selection.unmatched_ = std::move(patterns);
  for (const auto& pattern : selection.unmatched_)
    selection.patterns_.push_back(plain_path(pattern));
  for (;;) {
    auto record = image.next();
    if (!record) return propagate(record);
    if (*record == nullptr) break;
    if (!selection.matches(**record)) continue;
    const auto path = plain_path((*record)->path);
    std::erase_if(selection.unmatched_, [&](const std::string& pattern) {
      return matches_path(plain_path(pattern), path);
    });
    const auto& header = (*record)->header;
    if (header.type() != cpio::kRegular || !may_be_linked(header)) continue;
    if (selection.linked_.size() >= kMaxLinked)
      return fail("select from", "the image", "too many hard links match", "extract all of it",
                  ErrorKind::kInvalid);
    selection.linked_.emplace(link_key(header, image.archive_number()), (*record)->path);
  }
  return selection;
}

std::optional<std::string> Selection::path_for(const cpio::Record& record,
                                               std::uint32_t archive) const {
  if (patterns_.empty() || matches(record)) return record.path;
  if (!may_be_linked(record.header) || record.body_bytes == 0) return std::nullopt;
  auto linked = linked_.find(link_key(record.header, archive));
  if (linked == linked_.end()) return std::nullopt;
  return linked->second;
}

}  // namespace capsem::initrd
