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
  for (;;) {
    errno = 0;  // readdir(3) returns null at the end and at an error alike
    const dirent* item = ::readdir(stream.get());
    if (item == nullptr && errno != 0) return fail_system("list", directory, errno);
    if (item == nullptr) break;
    std::string name = item->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace capsem
