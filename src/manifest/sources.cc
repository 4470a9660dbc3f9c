#include "manifest/sources.h"

#include <algorithm>
#include <system_error>

#include "base/directory.h"
#include "base/text.h"

namespace capsem::manifest {
namespace {

namespace fs = std::filesystem;

bool left_out(const std::string& name) {
  return name.starts_with('.') || name == "__pycache__";
}

Result<> list(const Entry& entry, const std::string& where, const fs::path& source,
              const std::string& path, std::vector<SourceFile>& files) {
  std::error_code error;
  auto status = fs::symlink_status(source, error);
  if (status.type() == fs::file_type::not_found)
    return fail("find the source of " + entry.name, source, "it does not exist",
                entry.build ? "build the guest programs first" : "see " + where,
                ErrorKind::kNotFound);
  if (status.type() == fs::file_type::regular) {
    files.push_back({&entry, FileType::kFile, source, path, expected_mode(entry, FileType::kFile)});
    return {};
  }
  if (status.type() != fs::file_type::directory || entry.build)
    return fail("use the source of " + entry.name, source,
                "it is neither a regular file nor a directory", "see " + where,
                ErrorKind::kInvalid);
  files.push_back(
      {&entry, FileType::kDirectory, source, path, expected_mode(entry, FileType::kDirectory)});
  auto names = names_in(source);
  if (!names) return propagate(names, "use the source of", entry.name);
  for (const auto& name : *names) {
    if (left_out(name)) continue;
    if (std::ranges::any_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
      return fail("use the source of " + entry.name, source,
                  "the name " + printable(name) + " in it has a control character", "rename it",
                  ErrorKind::kInvalid);
    auto inner = path + "/";
    inner += name;
    auto listed = list(entry, where, source / name, inner, files);
    if (!listed) return listed;
  }
  return {};
}

}  // namespace

Result<std::vector<SourceFile>> list_sources(const Manifest& manifest, const SourceTree& tree) {
  std::vector<SourceFile> files;
  for (const auto& entry : manifest.entries) {
    auto source = entry.build ? tree.programs / entry.name : tree.root / *entry.file;
    auto where = manifest.file + ":" + std::to_string(entry.line);
    auto listed = list(entry, where, source, entry.path, files);
    if (!listed) return propagate(listed);
  }
  return files;
}

}  // namespace capsem::manifest
