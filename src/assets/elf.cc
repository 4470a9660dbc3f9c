#include "assets/elf.h"

#include <algorithm>
#include <string>

#include "assets/bytes.h"
#include "base/fd.h"

namespace capsem::assets {
namespace {

constexpr std::string_view kMagic("\177ELF\2\1", 6);  // 64-bit, little-endian
constexpr std::uint32_t kNoteSegment = 4;             // PT_NOTE

// Where a table of headers lies: all of one size.
struct Table {
  std::uint64_t offset = 0;
  std::uint64_t entry_bytes = 0;
  std::uint64_t count = 0;

  std::optional<View> entry(View file, std::uint64_t index) const {
    if (index >= count || offset > file.size()) return std::nullopt;
    return part(file, offset + index * entry_bytes, entry_bytes);
  }
};

// The positions of a table's place in the file header.
struct TableFields {
  std::uint64_t offset, entry_bytes, count;
};
constexpr TableFields kProgramHeaders = {32, 54, 56};
constexpr TableFields kSectionHeaders = {40, 58, 60};
constexpr std::uint64_t kSectionNamesIndex = 62;

std::optional<Table> table(View file, const TableFields& fields) {
  auto offset = little_endian<std::uint64_t>(file, fields.offset);
  auto entry_bytes = little_endian<std::uint16_t>(file, fields.entry_bytes);
  auto count = little_endian<std::uint16_t>(file, fields.count);
  if (!is_elf(file) || !offset || !entry_bytes || !count) return std::nullopt;
  return Table{*offset, *entry_bytes, *count};
}

// A section's bytes, from its header (sh_offset, sh_size).
std::optional<View> content(View file, View header) {
  auto offset = little_endian<std::uint64_t>(header, 24);
  auto size = little_endian<std::uint64_t>(header, 32);
  if (!offset || !size) return std::nullopt;
  return part(file, *offset, *size);
}

// The NUL-terminated text at `offset` of a string table.
std::optional<std::string_view> text_at(View strings, std::uint64_t offset) {
  if (offset >= strings.size()) return std::nullopt;
  auto rest = as_text(strings.subspan(offset));
  auto end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

bool segment_has_note(View segment, std::string_view owner, std::uint32_t type) {
  auto aligned = [](std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; };
  std::uint64_t at = 0;
  for (;;) {
    auto name_bytes = little_endian<std::uint32_t>(segment, at);
    auto body_bytes = little_endian<std::uint32_t>(segment, at + 4);
    auto note_type = little_endian<std::uint32_t>(segment, at + 8);
    if (!name_bytes || !body_bytes || !note_type) return false;
    auto name = part(segment, at + 12, *name_bytes);
    if (!name) return false;
    auto text = as_text(*name);
    if (*note_type == type && text.substr(0, text.find('\0')) == owner) return true;
    at += 12 + aligned(*name_bytes) + aligned(*body_bytes);
  }
}

}  // namespace

bool is_elf(View file) {
  return as_text(file.first(std::min(file.size(), kMagic.size()))) == kMagic;
}

Result<std::optional<View>> elf_section(View file, std::string_view wanted,
                                        const std::string& name) {
  auto damaged = [&name] {
    return fail("read", name, "it is not a whole 64-bit little-endian ELF file", "",
                ErrorKind::kDamaged);
  };
  auto sections = table(file, kSectionHeaders);
  auto names_index = little_endian<std::uint16_t>(file, kSectionNamesIndex);
  if (!sections || !names_index) return damaged();
  auto names_header = sections->entry(file, *names_index);
  if (!names_header) return damaged();
  auto names = content(file, *names_header);
  if (!names) return damaged();
  for (std::uint64_t i = 0; i < sections->count; ++i) {
    auto header = sections->entry(file, i);
    if (!header) return damaged();
    auto name_offset = little_endian<std::uint32_t>(*header, 0);
    if (!name_offset || text_at(*names, *name_offset) != wanted) continue;
    auto found = content(file, *header);
    if (!found) return damaged();
    return found;
  }
  return std::nullopt;
}

bool elf_has_note(View file, std::string_view owner, std::uint32_t type) {
  auto segments = table(file, kProgramHeaders);
  if (!segments) return false;
  for (std::uint64_t i = 0; i < segments->count; ++i) {
    auto header = segments->entry(file, i);
    if (!header) return false;
    if (little_endian<std::uint32_t>(*header, 0) != kNoteSegment) continue;
    auto offset = little_endian<std::uint64_t>(*header, 8);  // p_offset
    auto size = little_endian<std::uint64_t>(*header, 32);   // p_filesz
    if (!offset || !size) return false;
    auto segment = part(file, *offset, *size);
    if (segment && segment_has_note(*segment, owner, type)) return true;
  }
  return false;
}

}  // namespace capsem::assets
