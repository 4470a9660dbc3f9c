#include "assets/modules.h"

#include <algorithm>

#include "assets/config_list.h"
#include "assets/elf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace capsem::assets {
namespace {

constexpr std::uint64_t kMaxModuleBytes = 64 << 20;
constexpr std::uint64_t kMaxListBytes = 1 << 20;

std::string name_of(const std::filesystem::path& file) {
  return module_name(file.stem().string());
}

}  // namespace

std::string module_name(std::string_view name) {
  std::string normal(name);
  std::ranges::replace(normal, '-', '_');
  return normal;
}

Result<std::vector<std::string>> module_dependencies(std::span<const std::byte> module,
                                                     const std::string& name) {
  auto section = elf_section(module, ".modinfo", name);
  if (!section) return propagate(section);
  if (!*section)
    return fail("read", name, "it is no kernel module: it has no .modinfo section", "",
                ErrorKind::kDamaged);
  constexpr std::string_view kKey = "depends=";
  std::vector<std::string> needed;
  for (auto field : split(as_text(**section), '\0')) {
    if (!field.starts_with(kKey)) continue;
    for (auto word : split(field.substr(kKey.size()), ','))
      if (!word.empty()) needed.push_back(module_name(word));
  }
  return needed;
}

Result<ModuleTree> ModuleTree::scan(const std::filesystem::path& directory) {
  ModuleTree tree;
  std::error_code error;
  std::filesystem::recursive_directory_iterator walk(directory, error);
  for (; !error && walk != std::filesystem::end(walk); walk.increment(error))
    if (walk->path().extension() == ".ko") tree.files_[name_of(walk->path())] = walk->path();
  if (error) return fail_system("read the kernel modules in", directory, error.value());
  auto built_in = read_file(directory / "modules.builtin", kMaxListBytes);
  if (!built_in && built_in.error().kind() != ErrorKind::kNotFound) return propagate(built_in);
  if (built_in)
    for (const auto& line : list_lines(*built_in)) tree.built_in_.insert(name_of(line));
  return tree;
}

// A depth-first walk: `open` are the modules on the way to the present one.
struct ModuleTree::Visit {
  std::vector<std::string> open;
  std::set<std::string> done;
  std::vector<std::filesystem::path> order;
};

Result<> ModuleTree::add(const std::string& name, Visit& visit) const {
  if (visit.done.contains(name) || built_in_.contains(name)) return {};
  if (std::ranges::find(visit.open, name) != visit.open.end()) {
    visit.open.push_back(name);
    return fail("order", "the kernel modules", "they need each other: " + join(visit.open, " -> "),
                "", ErrorKind::kInvalid);
  }
  auto file = files_.find(name);
  if (file == files_.end())
    return fail("find the kernel module", name,
                visit.open.empty()
                    ? "the kernel package does not have it"
                    : "the kernel package does not have it, and " + visit.open.back() + " needs it",
                "correct guest/config/modules.boot", ErrorKind::kNotFound);
  auto content = read_file(file->second, kMaxModuleBytes);
  if (!content) return propagate(content);
  auto needed = module_dependencies(as_bytes(*content), file->second);
  if (!needed) return propagate(needed);
  visit.open.push_back(name);
  for (const auto& other : *needed)
    if (auto added = add(other, visit); !added) return added;
  visit.open.pop_back();
  visit.done.insert(name);
  visit.order.push_back(file->second);
  return {};
}

Result<std::vector<std::filesystem::path>> ModuleTree::load_order(
    std::span<const std::string> wanted) const {
  Visit visit;
  for (const auto& name : wanted)
    if (auto added = add(module_name(name), visit); !added) return propagate(added);
  return std::move(visit.order);
}

}  // namespace capsem::assets
