#include "guest/init/modules.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/text.h"

namespace capsem::guest::init {
namespace {
constexpr const char* kDirectory = "/lib/modules/capsem/";
constexpr std::uint64_t kListLimitBytes = 1 << 16;
}  // namespace

Result<> load_modules() {
  std::string directory = kDirectory;
  auto list = read_file(directory + "modules.load", kListLimitBytes);
  if (!list) return propagate(list);
  for (auto name : split(*list, '\n')) {
    if (name.empty()) continue;
    auto path = directory + std::string(name);
    auto module = open_file(path, O_RDONLY);
    if (!module) return propagate(module, "load the kernel module", std::string(name));
    if (::syscall(SYS_finit_module, module->get(), "", 0) != 0 && errno != EEXIST)
      return fail_system("load the kernel module", std::string(name), errno,
                         "the modules and the kernel have to be of one release: run 'capsem "
                         "build-assets'");
  }
  return {};
}

}  // namespace capsem::guest::init
