// Kernel modules: what each needs, and the order to load them in. Worked out when packing, so that
// nothing has to be looked up at boot.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace capsem::assets {

// The "depends=" list of a module's .modinfo section (Linux include/linux/module.h, MODULE_INFO).
// `name` is for errors. kDamaged for what is no module.
Result<std::vector<std::string>> module_dependencies(std::span<const std::byte> module,
                                                     const std::string& name);

// "-" and "_" are the same in module names; this is the form with "_".
std::string module_name(std::string_view name);

// The modules of one kernel: files below lib/modules/RELEASE.
class ModuleTree {
 public:
  // Finds every .ko below `directory`, and what modules.builtin there says is in the kernel itself.
  static Result<ModuleTree> scan(const std::filesystem::path& directory);

  // The files of `wanted` (module names) and of all they depend on, each after those it needs;
  // modules built into the kernel are left out. The order depends on nothing but `wanted` and the
  // modules. kNotFound for a name the kernel does not have, kInvalid for a circle.
  Result<std::vector<std::filesystem::path>> load_order(std::span<const std::string> wanted) const;

 private:
  struct Visit;
  Result<> add(const std::string& name, Visit& visit) const;

  std::map<std::string, std::filesystem::path> files_;  // by module name
  std::set<std::string> built_in_;
};

}  // namespace capsem::assets
