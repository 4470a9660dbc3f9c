#include "guest/pty-agent/terminal_type.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstddef>

#include "base/text.h"
#include "guest/pty-agent/space.h"

namespace capsem::guest::pty_agent {
namespace {

// terminfo(5), "Fetching Compiled Descriptions", as Debian has them.
constexpr std::array kTerminfo = {"/etc/terminfo/", "/lib/terminfo/", "/usr/share/terminfo/"};
constexpr const char* kOwnTerminfo = "/.terminfo/";  // below the home directory

// Far above any that exists, and below what file names may have.
constexpr std::size_t kLongestName = 128;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && !text.starts_with('.') &&
         text.find('/') == std::string_view::npos;
}

bool is_file(const Fd& root, const std::string& path) {
  Fd file = open_in(root, path, O_PATH);
  struct stat status{};
  return file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

std::string known_terminal_type(const Fd& root, const std::string& home, std::string_view asked) {
  if (!is_name(asked)) return kCommonTerminalType;
  std::string name(asked);
  // Below the first letter, or below its code where file systems do not tell "A" from "a".
  const std::array entries = {name.substr(0, 1) + "/" + name,
                              hex(as_bytes(asked.substr(0, 1))) + "/" + name};
  const std::string own = home + kOwnTerminfo;
  for (const auto& entry : entries) {
    if (is_file(root, own + entry)) return name;
    for (const char* directory : kTerminfo)
      if (is_file(root, directory + entry)) return name;
  }
  return kCommonTerminalType;
}

}  // namespace capsem::guest::pty_agent
