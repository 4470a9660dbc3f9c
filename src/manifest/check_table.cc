#include "manifest/check_table.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "base/text.h"
#include "manifest/policy.h"

namespace capsem::manifest {
namespace {

bool is_below(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() + 1 && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

class Checker {
 public:
  explicit Checker(const Manifest& manifest) : manifest_(manifest) {
    for (auto record : kOwnPaths) paths_.insert(record);
    for (auto port : kHostPorts) ports_.insert(port);
    ports_.insert(kInitPort);
  }

  Result<> check(const Entry& entry) {
    const auto where = manifest_.file + ":" + std::to_string(entry.line);
    auto refuse = [&](const std::string& reason) {
      return fail("read", where, reason, "", ErrorKind::kInvalid);
    };
    if (auto fits = check_stated_mode(entry, where); !fits) return fits;
    if (!names_.insert(entry.name).second) return refuse("the name " + entry.name + " is taken");
    if (entry.service)
      for (auto port : entry.service->listen)
        if (!ports_.insert(port).second)
          return refuse("the port " + std::to_string(port) + " of " + entry.name + " is taken");
    if (entry.is_init()) return {};
    if (!is_below(entry.path, kGuestRoot) || leads_elsewhere(entry.path))
      return refuse("the path of " + entry.name + " leads out of " + kGuestRoot);
    for (auto taken : paths_)
      if (taken == entry.path || is_below(taken, entry.path) || is_below(entry.path, taken))
        return refuse("the path of " + entry.name + " is taken, or lies inside one that is");
    paths_.insert(entry.path);
    return {};
  }

 private:
  const Manifest& manifest_;
  std::set<std::string_view> names_;
  std::set<std::string_view> paths_;
  std::set<std::uint32_t> ports_;
};

}  // namespace

bool leads_elsewhere(std::string_view path) {
  auto parts = split(path.substr(0, 1) == "/" ? path.substr(1) : path, '/');
  return std::ranges::any_of(
      parts, [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
}

Result<> check_table(const Manifest& manifest) {
  Checker checker(manifest);
  for (const auto& entry : manifest.entries)
    if (auto fits = checker.check(entry); !fits) return fits;
  return {};
}

}  // namespace capsem::manifest
