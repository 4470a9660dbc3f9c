// All guest programs but the init in one executable, which runs the one it was called by.
#include "programs.h"

#include <string>
#include <string_view>

#include "base/log.h"

int main(int argc, char** argv) {
  std::string_view name = argc > 0 ? argv[0] : "";
  name.remove_prefix(name.rfind('/') + 1);
  for (const auto& program : kPrograms)
    if (program.name == name) return program.run(argc, argv);
  std::string known;
  for (const auto& program : kPrograms)
    known += (known.empty() ? "" : ", ") + std::string(program.name);
  capsem::say("this file runs under the names " + known);
  return 127;
}
