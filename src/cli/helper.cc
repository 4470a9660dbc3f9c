#include "cli/helper.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "prepare/layout.h"

namespace capsem::cli {

namespace fs = std::filesystem;

Result<fs::path> find_helper(const fs::path& executable, const std::string& name) {
  auto directory = executable.parent_path();
  const std::array places = {directory / name,
                             directory.parent_path() / prepare::kInstalledRoot / name};
  for (const auto& place : places) {
    std::error_code error;
    if (fs::exists(place, error)) return place;
    if (error) return fail("look for", place, error.message());
  }
  return fail("find", name, "there is neither " + places[0].string() + " nor " + places[1].string(),
              "build it with './dev build' or install capsem again with 'cmake --install'",
              ErrorKind::kNotFound);
}

Error become_helper(const std::string& name, std::vector<std::string> arguments) {
  auto executable = prepare::running_executable();
  if (!executable) return executable.error();
  auto helper = find_helper(*executable, name);
  if (!helper) return helper.error();
  std::string path = helper->string();
  std::vector<char*> argv = {path.data()};
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(path.c_str(), argv.data());
  return Error::system("start", path, errno);
}

}  // namespace capsem::cli
