#include "manifest/programs.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "base/directory.h"
#include "base/file.h"

namespace capsem::manifest {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeaderBegin =
    R"(// Generated from guest.toml: the programs of the one executable, by name.
#pragma once

#include <string_view>

struct Program {
  std::string_view name;
  int (*run)(int argc, char** argv);
};

)";

// What is being made in the directory, until it gets its name.
constexpr const char* kMadeName = ".new";

std::string namespace_of(std::string folder) {
  std::ranges::replace(folder, '-', '_');
  return "capsem::guest::" + folder;
}

bool is_shared(const Entry& entry) {
  return entry.build && !entry.is_init();
}

Result<> remove_others(const Manifest& manifest, const fs::path& directory) {
  auto names = names_in(directory);
  if (!names) return propagate(names);
  for (const auto& name : *names) {
    auto listed = std::ranges::find(manifest.entries, name, &Entry::name);
    if (listed != manifest.entries.end() && listed->build) continue;
    std::error_code error;
    fs::remove_all(directory / name, error);
    if (error) return fail_system("remove", directory / name, error.value());
  }
  return {};
}

}  // namespace

Result<std::string> program_table(const Manifest& manifest, const std::set<std::string>& folders) {
  std::set<std::string> declarations;
  std::string rows;
  for (const auto& entry : manifest.entries) {
    if (!is_shared(entry)) continue;
    if (!folders.contains(*entry.build))
      return fail("build", manifest.file + ":" + std::to_string(entry.line),
                  entry.name + " is built from src/guest/" + *entry.build +
                      ", whose CMakeLists.txt makes no program of that name",
                  "write capsem_guest_program(" + *entry.build + " SOURCES ...) in it",
                  ErrorKind::kInvalid);
    auto scope = namespace_of(*entry.build);
    declarations.insert("namespace " + scope + " { int run(int argc, char** argv); }\n");
    rows += "    {\"" + fs::path(entry.path).filename().string() + "\", " + scope + "::run},\n";
  }
  std::string header = kHeaderBegin;
  for (const auto& declaration : declarations) header += declaration;
  return header + "\ninline constexpr Program kPrograms[] = {\n" + rows + "};\n";
}

Result<> place_programs(const Manifest& manifest, const Executables& executables,
                        const fs::path& directory) {
  if (auto made = make_directories(directory); !made) return made;
  if (auto removed = remove_others(manifest, directory); !removed) return removed;
  std::optional<fs::path> shared;
  for (const auto& entry : manifest.entries) {
    if (!entry.build) continue;
    auto place = directory / entry.name;
    auto made = directory / kMadeName;
    std::error_code error;
    if (entry.is_init())
      fs::copy_file(executables.init, made, error);
    else if (shared)
      fs::create_hard_link(*shared, made, error);
    else
      fs::copy_file(executables.programs, made, error);
    if (!error) fs::rename(made, place, error);
    if (error) return fail_system("write", place, error.value());
    if (is_shared(entry)) shared = place;
  }
  return {};
}

}  // namespace capsem::manifest
