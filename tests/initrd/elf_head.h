// The start of a program, as far as anything here looks at it.
#pragma once

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace capsem::initrd {

inline std::string elf_head(std::uint16_t machine) {
  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = machine;
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

}  // namespace capsem::initrd
