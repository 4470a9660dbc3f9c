#include "initrd/root_directory.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace capsem::initrd {
namespace {

constexpr std::size_t kMaxKnown = 128;  // descriptors; 1024 is the usual limit of a process
constexpr mode_t kMissingDirectoryMode = 0755;

Outcome<Fd> open_in(const Fd& root, const std::string& path, unsigned flags) {
  open_how how{};
  how.flags = flags | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    long fd = ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how));
    if (fd >= 0) return Fd(static_cast<int>(fd));
    // EAGAIN: something was renamed meanwhile, and the kernel could not tell whether ".." leads
    // out.
    if (errno != EINTR && errno != EAGAIN) return std::unexpected(errno);
  }
}

std::string_view without_trailing_slashes(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

bool is_dotted(std::string_view name) {
  return name.empty() || name == "." || name == "..";
}

}  // namespace

RootDirectory::RootDirectory(Fd directory)
    : root_(std::make_shared<const Fd>(std::move(directory))) {}

Outcome<Fd> RootDirectory::open_directory(std::string_view path) const {
  path = without_trailing_slashes(path);
  if (path.empty()) path = ".";
  return open_in(*root_, std::string(path), O_RDONLY | O_NOFOLLOW);
}

Outcome<std::shared_ptr<const Fd>> RootDirectory::directory_at(std::string_view path) {
  if (path.empty()) return root_;
  std::string key(path);
  if (auto known = known_.find(key); known != known_.end()) return known->second;
  auto opened = open_in(*root_, key, O_PATH);
  if (!opened && opened.error() == ENOENT) {
    if (auto made = make_directories(path); !made) return std::unexpected(made.error());
    opened = open_in(*root_, key, O_PATH);
  }
  if (!opened) return std::unexpected(opened.error());
  if (known_.size() >= kMaxKnown) known_.clear();
  auto directory = std::make_shared<const Fd>(std::move(*opened));
  known_.emplace(std::move(key), directory);
  return directory;
}

// Each directory on the way, from the root on, where it is missing.
Outcome<> RootDirectory::make_directories(std::string_view path) {
  auto above = root_;
  for (std::size_t begin = 0; begin < path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    const auto name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    const std::string here(path.substr(0, end));
    auto opened = open_in(*root_, here, O_PATH);
    if (!opened && opened.error() == ENOENT && !is_dotted(name)) {
      if (::mkdirat(above->get(), std::string(name).c_str(), kMissingDirectoryMode) != 0)
        // A link is there that leads nowhere.
        return std::unexpected(errno == EEXIST ? ENOENT : errno);
      opened = open_in(*root_, here, O_PATH);
    }
    if (!opened) return std::unexpected(opened.error());
    above = std::make_shared<const Fd>(std::move(*opened));
  }
  return {};
}

Outcome<Place> RootDirectory::place(std::string_view path) {
  path = without_trailing_slashes(path);
  const auto slash = path.rfind('/');
  const auto name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (is_dotted(name)) return Place{root_, ""};
  auto parent = directory_at(
      without_trailing_slashes(slash == std::string_view::npos ? "" : path.substr(0, slash)));
  if (!parent) return std::unexpected(parent.error());
  return Place{std::move(*parent), std::string(name)};
}

}  // namespace capsem::initrd
