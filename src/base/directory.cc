#include "base/directory.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace capsem {

Result<std::vector<std::string>> names_in(const std::string& directory) {
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), &::closedir);
  if (!stream) return fail_system("list", directory, errno);
  std::vector<std::string> names;
  while (const dirent* item = ::readdir(stream.get())) {
    std::string name = item->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace capsem
