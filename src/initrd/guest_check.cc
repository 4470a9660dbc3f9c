#include "initrd/guest_check.h"

#include <elf.h>

#include <cstring>
#include <span>

#include "base/fd.h"
#include "base/text.h"
#include "initrd/file_type.h"
#include "manifest/policy.h"

namespace capsem::initrd {
namespace {

template <class T>
bool read_struct(std::string_view head, std::uint64_t offset, T& out) {
  if (offset > head.size() || head.size() - offset < sizeof out) return false;
  std::memcpy(&out, head.data() + offset, sizeof out);
  return true;
}

// Empty when what begins with `head` is a static executable for this machine, or a script.
std::string_view why_no_program(std::string_view head) {
  if (!head.starts_with(ELFMAG))
    return head.starts_with("#!") ? "" : "it is neither an ELF file nor a script";
  Elf64_Ehdr header{};
  if (!read_struct(head, 0, header)) return "its ELF header is cut short";
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
    return "it is not built for x86_64";
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (header.e_phoff > head.size() ||
        !read_struct(head, header.e_phoff + std::uint64_t{i} * header.e_phentsize, segment))
      return "its ELF program headers are not at its start";
    if (segment.p_type == PT_INTERP) return "it is not static: it asks for a dynamic loader";
  }
  return "";
}

// As the tree has it: guest.toml's paths are absolute.
std::string_view in_tree(std::string_view path) {
  path.remove_prefix(path.starts_with('/') ? 1 : 0);
  return path;
}

}  // namespace

void GuestCheck::see(Tree::FileId id, std::string_view head) {
  auto why = why_no_program(head);
  if (why.empty())
    not_programs_.erase(id);
  else
    not_programs_[id] = why;
}

void GuestCheck::check_file(const manifest::Entry& entry, const std::string& path, Tree::FileId id,
                            const File& file) {
  const bool directory = file.type() == cpio::kDirectory;
  if (!directory && file.type() != cpio::kRegular) {
    problems_.push_back("cannot accept " + path + ": it is a " + std::string(type_name(file.mode)));
    return;
  }
  if (!directory) sums_.emplace(path, file.sha256);
  auto type = directory ? manifest::FileType::kDirectory : manifest::FileType::kFile;
  auto fits = manifest::check_found(entry, type, file.permissions(), file.uid, file.gid, path);
  if (!fits) problems_.push_back(fits.error().message());
  auto program = not_programs_.find(id);
  if (entry.build && !directory && program != not_programs_.end())
    problems_.push_back("cannot accept " + path + ": " + std::string(program->second));
}

void GuestCheck::check_entry(const manifest::Entry& entry, const Tree& tree) {
  const auto own = in_tree(entry.path);
  bool found = false;
  for (auto name = tree.names().lower_bound(own); name != tree.names().end(); ++name) {
    const auto& [path, id] = *name;
    if (!path.starts_with(own)) break;
    if (path != own && path[own.size()] != '/') continue;
    found = true;
    check_file(entry, "/" + path, id, tree.file(id));
  }
  if (!found) problems_.push_back(entry.name + " is missing: there is no " + entry.path);
}

void GuestCheck::check_indexed(const IndexedFile& indexed, const Tree& tree) {
  auto name = tree.names().find(in_tree(indexed.path));
  if (name == tree.names().end()) {
    problems_.push_back(indexed.path + " is in the index and not in the image");
    return;
  }
  const File& file = tree.file(name->second);
  if (file.sha256 != indexed.sha256 || file.bytes != indexed.bytes ||
      file.permissions() != indexed.mode)
    problems_.push_back(indexed.path + " is not the one in the index");
}

void GuestCheck::check_sums(const Tree& tree) {
  const std::string path = manifest::kSumsPath;
  auto name = tree.names().find(in_tree(path));
  if (name == tree.names().end()) {
    problems_.push_back("there is no " + path + ", without which PID 1 deploys nothing");
    return;
  }
  const File& file = tree.file(name->second);
  if (file.type() != cpio::kRegular || file.permissions() != manifest::kSumsMode || file.uid != 0 ||
      file.gid != 0)
    problems_.push_back("cannot accept " + path + ": it is not a file of root with mode " +
                        octal(manifest::kSumsMode));
  else if (file.sha256 != sha256(as_bytes(manifest::encode_sums(sums_))))
    problems_.push_back(path + " does not hold the hashes of the entries' files");
}

std::vector<std::string> GuestCheck::finish(const Tree& tree) {
  for (const auto& entry : manifest_.entries)
    if (entry.in_initrd) check_entry(entry, tree);
  for (const auto& entry : index_.entries)
    for (const auto& file : entry.files) check_indexed(file, tree);
  check_sums(tree);
  return std::move(problems_);
}

}  // namespace capsem::initrd
