// Which records of an image are extracted.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "initrd/image.h"
#include "initrd/link_key.h"

namespace capsem::initrd {

class Selection {
 public:
  // All of them.
  Selection() = default;

  // Those whose path, or a directory above it, matches one of the shell patterns (fnmatch(3)). As
  // for cpio and bsdtar, a wildcard matches a slash too; leading slashes and "./" do not count.
  // Reads `image` to its end: the content of a selected file may come with another of its names.
  // Errors as ImageReader::next().
  static Result<Selection> by_patterns(ImageReader& image, std::vector<std::string> patterns);

  // By which path the record is to be extracted; nothing when it is not. A name that is not
  // selected but has the content of a selected file stands for that.
  std::optional<std::string> path_for(const cpio::Record& record, std::uint32_t archive) const;

  // The patterns that match no record.
  const std::vector<std::string>& unmatched() const { return unmatched_; }

 private:
  bool matches(const cpio::Record& record) const;

  std::vector<std::string> patterns_;
  std::vector<std::string> unmatched_;
  std::unordered_map<LinkKey, std::string, LinkKeyHash> linked_;  // the first selected name
};

}  // namespace capsem::initrd
