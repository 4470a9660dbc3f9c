// The lists of guest/config: one item a line, "# ..." a comment. Their items reach apt, tar and the
// kernel's module tree as words of a command, so that each has to be one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace capsem::assets {

struct ItemRule {
  const char* item;  // what an item is called: "a package's name"
  bool (*holds)(std::string_view item);
  const char* advice;
};

extern const ItemRule kPackageName;    // Debian Policy 5.6.1
extern const ItemRule kModuleName;     // as modprobe(8) takes it
extern const ItemRule kModulePattern;  // of tar(1), relative and without a ".." part

// The lines without comments and empty lines, in order.
std::vector<std::string> list_lines(std::string_view text);

// The items of the list at `path`. kInvalid, with file and line, for what breaks `rule`.
Result<std::vector<std::string>> read_list(const std::filesystem::path& path, const ItemRule& rule);

}  // namespace capsem::assets
