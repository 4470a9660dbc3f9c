// Small ELF files, made byte by byte: one named section, or one note.
#pragma once

#include <cstdint>
#include <string>

namespace capsem::testing {

inline void put_number(std::string& bytes, std::size_t offset, std::uint64_t value,
                       std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes.at(offset + i) = static_cast<char>(value >> (8 * i));
}

inline std::string elf_header() {
  std::string elf(64, '\0');
  elf.replace(0, 6, std::string("\177ELF\2\1", 6));
  return elf;
}

// With a section `name` that holds `content`.
inline std::string elf_with_section(const std::string& name, const std::string& content) {
  auto elf = elf_header();
  auto content_at = elf.size();
  elf += content;
  auto names_at = elf.size();
  std::string names = '\0' + name + '\0';
  elf += names;
  auto table_at = elf.size();
  elf.resize(table_at + std::size_t{3} * 64, '\0');
  put_number(elf, 40, table_at, 8);  // e_shoff
  put_number(elf, 58, 64, 2);        // e_shentsize
  put_number(elf, 60, 3, 2);         // e_shnum
  put_number(elf, 62, 2, 2);         // e_shstrndx
  put_number(elf, table_at + 64, 1, 4);
  put_number(elf, table_at + 64 + 24, content_at, 8);
  put_number(elf, table_at + 64 + 32, content.size(), 8);
  put_number(elf, table_at + 128 + 24, names_at, 8);
  put_number(elf, table_at + 128 + 32, names.size(), 8);
  return elf;
}

// With a PT_NOTE segment of one note, behind `filler` bytes that make it compressible.
inline std::string elf_with_note(const std::string& owner, std::uint32_t type,
                                 std::size_t filler = 0) {
  auto elf = elf_header();
  elf.resize(64 + 56, '\0');
  put_number(elf, 32, 64, 8);  // e_phoff
  put_number(elf, 54, 56, 2);  // e_phentsize
  put_number(elf, 56, 1, 2);   // e_phnum
  auto note_at = elf.size();
  elf.resize(note_at + 12 + 8 + 4 + filler, '\0');
  put_number(elf, note_at, owner.size() + 1, 4);
  put_number(elf, note_at + 4, 4, 4);
  put_number(elf, note_at + 8, type, 4);
  elf.replace(note_at + 12, owner.size(), owner);
  put_number(elf, 64, 4, 4);  // PT_NOTE
  put_number(elf, 64 + 8, note_at, 8);
  put_number(elf, 64 + 32, 24, 8);
  return elf;
}

}  // namespace capsem::testing
