#include "assets/inputs.h"

#include <fcntl.h>

#include <algorithm>
#include <map>

#include "assets/config_files.h"
#include "base/fd.h"
#include "base/file.h"

namespace capsem::assets {
namespace {

constexpr std::uint64_t kMaxListBytes = 1 << 20;

void add_field(Sha256& hash, std::string_view text) {
  // Each with its length, so that no two rows of fields run together into the same bytes.
  hash.update(as_bytes(std::to_string(text.size()) + ":"));
  hash.update(as_bytes(text));
}

Result<> add_lists(const Guest& guest, std::map<std::string, Digest>& inputs) {
  for (const char* list : {kPackagesList, kBootModulesList, kRootfsModulesList}) {
    auto text = read_file(guest.config / list, kMaxListBytes);
    if (!text) return propagate(text);
    inputs[std::string("guest/config/") + list] = sha256(as_bytes(*text));
  }
  return {};
}

Result<> add_config_files(const Guest& guest, std::map<std::string, Digest>& inputs) {
  auto files = list_config_files(guest.config / kRootfsFiles);
  if (!files) return propagate(files);
  for (const auto& file : *files) {
    Sha256 hash;
    add_field(hash, file.type == ConfigFile::Type::kSymlink ? "link" : "file");
    add_field(hash, std::to_string(file.mode));
    add_field(hash, file.content);
    inputs[std::string("guest/config/") + kRootfsFiles + "/" + file.path] = hash.finish();
  }
  return {};
}

// The content of an entry's file, by its hash.
Result<> add_content(Sha256& hash, const manifest::SourceFile& file) {
  if (file.type == manifest::FileType::kDirectory) return {};
  auto fd = open_file(file.source, O_RDONLY);
  if (!fd) return propagate(fd);
  auto digest = sha256(*fd, file.source);
  if (!digest) return propagate(digest);
  hash.update(digest->bytes);
  return {};
}

Result<> add_entries(const Guest& guest, std::map<std::string, Digest>& inputs) {
  auto manifest = rootfs_part(guest.manifest);
  auto files = manifest::list_sources(manifest, guest.sources);
  if (!files) return propagate(files);
  std::map<std::string, Sha256> hashes;
  for (const auto& file : *files) {
    auto& hash = hashes["guest.toml: " + file.entry->name];
    // What lies below an entry of the initrd too is as fresh as each repack makes it.
    if (file.entry->in_initrd && file.path != file.entry->path) continue;
    add_field(hash, file.path);
    add_field(hash, std::to_string(file.mode));
    if (file.entry->in_initrd) continue;
    if (auto added = add_content(hash, file); !added) return added;
  }
  for (auto& [name, hash] : hashes) inputs[name] = hash.finish();
  return {};
}

}  // namespace

manifest::Manifest rootfs_part(const manifest::Manifest& manifest) {
  manifest::Manifest part{.file = manifest.file};
  std::ranges::copy_if(manifest.entries, std::back_inserter(part.entries),
                       &manifest::Entry::in_rootfs);
  return part;
}

Result<std::vector<Input>> collect_inputs(const Guest& guest) {
  std::map<std::string, Digest> found;
  if (auto added = add_lists(guest, found); !added) return propagate(added);
  if (auto added = add_config_files(guest, found); !added) return propagate(added);
  if (auto added = add_entries(guest, found); !added) return propagate(added);
  std::vector<Input> inputs;
  inputs.reserve(found.size());
  for (auto& [name, digest] : found) inputs.push_back({name, digest});
  return inputs;
}

std::vector<std::string> compare_inputs(std::span<const Input> built, std::span<const Input> now) {
  std::vector<std::string> lines;
  while (!built.empty() || !now.empty()) {
    if (now.empty() || (!built.empty() && built[0].name < now[0].name)) {
      lines.push_back(built[0].name + " is gone");
      built = built.subspan(1);
    } else if (built.empty() || now[0].name < built[0].name) {
      lines.push_back(now[0].name + " is new");
      now = now.subspan(1);
    } else {
      if (built[0].sha256 != now[0].sha256) lines.push_back(now[0].name + " changed");
      built = built.subspan(1);
      now = now.subspan(1);
    }
  }
  return lines;
}

Result<std::vector<std::string>> stale_inputs(const Index& built, const Guest& guest) {
  auto now = collect_inputs(guest);
  if (!now) return propagate(now);
  return compare_inputs(built.inputs, *now);
}

}  // namespace capsem::assets
