#include "initrd/init_check.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"
#include "initrd/file_type.h"

namespace capsem::initrd {
namespace {

constexpr std::string_view kInit = "init";
constexpr int kMaxInterpreters = 5;  // fs/exec.c, exec_binprm()

struct MachineName {
  unsigned machine;
  std::string_view name;
};

constexpr std::array kMachines = {
    MachineName{EM_AARCH64, "aarch64"},     MachineName{EM_ARM, "arm"},
    MachineName{EM_RISCV, "riscv"},         MachineName{EM_PPC64, "ppc64"},
    MachineName{EM_S390, "s390"},           MachineName{EM_MIPS, "mips"},
    MachineName{EM_LOONGARCH, "loongarch"},
};

// Linux for x86_64 runs both.
bool runs_here(unsigned machine) {
  return machine == EM_X86_64 || machine == EM_386;
}

std::string machine_name(unsigned machine) {
  auto known = std::ranges::find(kMachines, machine, &MachineName::machine);
  return known == kMachines.end() ? "machine " + std::to_string(machine) : std::string(known->name);
}

// fs/binfmt_script.c: the first word behind "#!".
std::string_view interpreter_of(std::string_view head) {
  constexpr std::string_view kBlank = " \t";
  auto line = head.substr(2, head.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  return line.substr(0, line.find_first_of(" \t\0", 0, 3));
}

}  // namespace

void InitCheck::see(Tree::FileId id, std::string_view head) {
  interpreters_.erase(id);
  machines_.erase(id);
  if (head.starts_with("#!")) interpreters_.emplace(id, interpreter_of(head));
  std::uint16_t machine = 0;
  constexpr std::size_t kMachineOffset = offsetof(Elf64_Ehdr, e_machine);
  if (!head.starts_with(ELFMAG) || head.size() < kMachineOffset + sizeof machine) return;
  std::memcpy(&machine, head.data() + kMachineOffset, sizeof machine);
  // The fields of another byte order are another architecture's in any case.
  if (head[EI_DATA] != ELFDATA2LSB)
    machine = static_cast<std::uint16_t>(machine << 8 | machine >> 8);
  machines_.emplace(id, machine);
}

std::string InitCheck::interpreter(Tree::FileId id) const {
  auto script = interpreters_.find(id);
  return script == interpreters_.end() ? std::string() : script->second;
}

std::optional<std::string> InitCheck::why_no_program(const Tree& tree, Tree::FileId id) const {
  std::string who = "it";
  for (int depth = 0; depth <= kMaxInterpreters; ++depth) {
    const File& file = tree.file(id);
    if (file.type() != cpio::kRegular) return who + " is a " + std::string(type_name(file.mode));
    if ((file.permissions() & 0111) == 0)
      return who + " cannot be executed: its mode is " + octal(file.mode);
    if (auto machine = machines_.find(id); machine != machines_.end()) {
      if (runs_here(machine->second)) return std::nullopt;
      return who + " is a program for " + machine_name(machine->second) + ", not for x86_64";
    }
    auto script = interpreters_.find(id);
    if (script == interpreters_.end()) return who + " is neither an ELF file nor a script";
    auto interpreter = tree.lookup(script->second);
    if (script->second.empty() || !interpreter)
      return who + " is a script for " +
             (script->second.empty() ? "no interpreter"
                                     : printable(script->second) + ", which is not in the image");
    who = "its interpreter " + printable(script->second);
    id = *interpreter;
  }
  return "its interpreters are scripts, more than Linux follows";
}

std::optional<std::string> InitCheck::why_not(const Tree& tree) const {
  auto name = tree.names().find(kInit);
  if (name == tree.names().end()) return std::nullopt;
  auto id = tree.follow(kInit);
  if (id) return why_no_program(tree, *id);
  const auto& target = tree.file(name->second).target;
  return "it is a symlink to " + printable(target) +
         (id.error() == Surprise::kLinkLoop
              ? ", which leads in circles, or through more symlinks than Linux follows"
              : ", which leads to nothing in the image");
}

}  // namespace capsem::initrd
