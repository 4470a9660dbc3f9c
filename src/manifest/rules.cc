#include "manifest/rules.h"

#include <algorithm>
#include <map>
#include <string>

#include "manifest/check_table.h"
#include "manifest/parse.h"

namespace capsem::manifest {

Result<> check_together(const Manifest& manifest) {
  std::map<std::string, const Entry*> names;
  std::map<std::string, const Entry*> paths;
  std::map<std::uint32_t, const Entry*> ports;
  std::map<std::string, const Entry*> programs;
  for (const auto& entry : manifest.entries) {
    auto refuse = [&](const std::string& what, const Entry* other) {
      return fail("read", manifest.file + ":" + std::to_string(entry.line),
                  what + " of " + entry.name + " is used by the entry of line " +
                      std::to_string(other->line) + " already",
                  "give each entry its own", ErrorKind::kInvalid);
    };
    auto [name, new_name] = names.emplace(entry.name, &entry);
    if (!new_name) return refuse("the name", name->second);
    auto [path, new_path] = paths.emplace(entry.path, &entry);
    if (!new_path) return refuse("the path", path->second);
    if (entry.build) {
      auto file = std::filesystem::path(entry.path).filename();
      auto [program, new_program] = programs.emplace(file, &entry);
      if (!new_program) return refuse("the last part of the path", program->second);
    }
    if (!entry.service) continue;
    for (auto number : entry.service->listen) {
      auto [port, new_port] = ports.emplace(number, &entry);
      if (!new_port) return refuse("the port", port->second);
    }
  }
  auto init = paths.find("/init");
  if (init == paths.end() || !init->second->in_initrd)
    return fail("read", manifest.file + ":1", "no entry of the initrd has the path /init",
                "add the one of capsem-init: it is what the kernel starts", ErrorKind::kInvalid);
  for (const auto& [path, entry] : paths)
    for (auto parent = std::filesystem::path(path); parent != "/"; parent = parent.parent_path()) {
      auto outer = paths.find(parent);
      bool inside = outer != paths.end() && outer->second != entry;
      if (inside || std::ranges::find(kOwnPaths, parent) != kOwnPaths.end())
        return fail("read", manifest.file + ":" + std::to_string(entry->line),
                    "the path of " + entry->name + " is taken, or lies inside one that is",
                    "give each entry its own directory", ErrorKind::kInvalid);
    }
  for (const auto& [port, entry] : ports)
    if (std::ranges::count(kHostPorts, port) > 0)
      return fail("read", manifest.file + ":" + std::to_string(entry->line),
                  "the port " + std::to_string(port) + " of " + entry->name +
                      " is that of a service of the host",
                  "listen on another, such as 6000", ErrorKind::kInvalid);
  if (auto port = ports.find(kInitPort); port != ports.end())
    return fail("read", manifest.file + ":" + std::to_string(port->second->line),
                "the port " + std::to_string(kInitPort) + " of " + port->second->name +
                    " is that of PID 1 itself",
                "listen on another, such as 6000", ErrorKind::kInvalid);
  return {};
}

Result<> check_source(const Entry& entry, const std::filesystem::path& list) {
  auto refuse = [&](std::string reason, std::string advice) {
    return fail("read", list.string() + ":" + std::to_string(entry.line), std::move(reason),
                std::move(advice), ErrorKind::kInvalid);
  };
  std::error_code error;
  auto root = list.parent_path();
  if (entry.file && !std::filesystem::exists(root / *entry.file, error))
    return refuse("the source " + *entry.file + " of " + entry.name + " is missing",
                  "make it, or name the file that is there");
  if (!entry.build || !std::filesystem::exists(root / kProgramSources, error)) return {};
  auto folder = std::string(kProgramSources) + "/" + *entry.build;
  if (!std::filesystem::exists(root / folder / "CMakeLists.txt", error))
    return refuse(folder + "/CMakeLists.txt, which builds " + entry.name + ", is missing",
                  "write the program, or name the folder of one that is there");
  if (entry.is_init() != (*entry.build == kInitFolder))
    return refuse(
        entry.path + " is built from " + folder,
        std::string("build /init, and nothing else, from ") + kProgramSources + "/" + kInitFolder);
  return {};
}

}  // namespace capsem::manifest
