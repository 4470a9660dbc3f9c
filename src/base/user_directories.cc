#include "base/user_directories.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

namespace capsem {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "capsem";

std::optional<fs::path> from_variable(const char* name) {
  const char* value = ::getenv(name);
  if (value == nullptr || value[0] != '/') return std::nullopt;
  return fs::path(value);
}

// HOME, or, where a service manager or `env -i` set none, what the password database says.
Result<fs::path> home_directory(const char* variable) {
  constexpr std::size_t kMaxEntryBytes = 64 << 10;
  if (auto home = from_variable("HOME")) return *home;
  std::vector<char> buffer(kMaxEntryBytes);
  passwd entry{};
  passwd* found = nullptr;
  int error = ::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr && found->pw_dir[0] == '/') return found->pw_dir;
  const auto user = "the home directory of uid " + std::to_string(::getuid());
  const auto advice = std::string("set HOME or ") + variable + " to an absolute path";
  if (error != 0) return fail_system("find", user, error, advice);
  return fail("find", user, "HOME is not set, and the password database has none", advice,
              ErrorKind::kNotFound);
}

Result<fs::path> find(const char* variable, const char* below_home, const char* what) {
  if (auto set = from_variable(variable)) return *set / kName;
  auto home = home_directory(variable);
  if (!home) return propagate(home, "find", what);
  return *home / below_home / kName;
}

}  // namespace

Result<fs::path> cache_directory() {
  return find("XDG_CACHE_HOME", ".cache", "the cache directory");
}

Result<fs::path> config_directory() {
  return find("XDG_CONFIG_HOME", ".config", "the directory of settings");
}

Result<fs::path> state_directory() {
  return find("XDG_STATE_HOME", ".local/state", "the directory of VMs");
}

Result<fs::path> runtime_directory() {
  if (auto set = from_variable("XDG_RUNTIME_DIR")) return *set / kName;
  auto of_user = fs::path("/run/user") / std::to_string(::geteuid());
  struct stat status{};
  if (::stat(of_user.c_str(), &status) == 0 && status.st_uid == ::geteuid()) return of_user / kName;
  auto state = state_directory();
  if (!state) return propagate(state);
  return *state / "run";
}

}  // namespace capsem
