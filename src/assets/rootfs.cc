#include "assets/rootfs.h"

#include <fcntl.h>

#include <algorithm>
#include <map>
#include <set>

#include "assets/config_files.h"
#include "assets/squashfs.h"
#include "assets/tar_reader.h"
#include "assets/tar_writer.h"
#include "base/file.h"
#include "manifest/policy.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxEntryBytes = 1 << 30;

// Our files, to go behind the packages' own.
class Overlay {
 public:
  Result<> add_config(const fs::path& directory) {
    auto files = list_config_files(directory);
    if (!files) return propagate(files);
    for (auto& file : *files) {
      auto path = file.path;
      files_.emplace(std::move(path), std::move(file));
    }
    return {};
  }

  Result<> add_entries(std::span<const manifest::SourceFile> sources) {
    for (const auto& source : sources) {
      auto path = source.path.substr(1);
      if (source.type == manifest::FileType::kDirectory) {
        directories_[path] = source.mode;
        continue;
      }
      auto content = read_file(source.source, kMaxEntryBytes);
      if (!content) return propagate(content);
      files_[path] = {.path = path, .mode = source.mode, .content = std::move(*content)};
    }
    return {};
  }

  bool has(const std::string& path) const {
    return files_.contains(path) || directories_.contains(path);
  }

  // As an archive, with the directories that hold our files where the packages have none; `present`
  // are the paths that the packages have.
  Result<std::string> archive(const std::set<std::string>& present) {
    for (const auto& [path, file] : files_)
      for (auto slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1))
        if (auto parent = path.substr(0, slash); !present.contains(parent))
          directories_.emplace(parent, manifest::kParentMode);
    TarWriter writer;
    for (const auto& [path, mode] : directories_)
      if (auto added = writer.add_directory(path, mode); !added) return propagate(added);
    for (const auto& [path, file] : files_) {
      auto added = file.type == ConfigFile::Type::kSymlink
                       ? writer.add_symlink(path, file.content)
                       : writer.add_file(path, file.content, file.mode);
      if (!added) return propagate(added);
    }
    return writer.finish();
  }

 private:
  std::map<std::string, std::uint32_t> directories_;  // mode by path
  std::map<std::string, ConfigFile> files_;           // by path
};

// What has to be known of the packages' archive before any of it is written.
struct Survey {
  std::set<std::string> paths;
  std::int64_t newest = 0;  // time of a file that came in a package, seconds since 1970
};

Result<TarReader> read_packages(const DebianTree& debian) {
  auto archive = open_file(debian.tree, O_RDONLY);
  if (!archive) return propagate(archive);
  return TarReader(std::move(*archive), debian.tree);
}

Result<Survey> survey(const DebianTree& debian) {
  auto reader = read_packages(debian);
  if (!reader) return propagate(reader);
  Survey found;
  for (;;) {
    auto member = reader->next();
    if (!member) return propagate(member);
    if (!*member) return found;
    if ((*member)->mtime < debian.made_at) found.newest = std::max(found.newest, (*member)->mtime);
    found.paths.insert(std::move((*member)->path));
  }
}

// The packages' archive as it is read, without the members that ours replace, then ours.
class Merged {
 public:
  Merged(TarReader packages, const Overlay& overlay, std::string archive)
      : packages_(std::move(packages)), overlay_(overlay), archive_(std::move(archive)) {}

  Result<std::string_view> next() {
    if (body_left_ > 0) {
      auto piece = packages_.body();
      if (!piece) return propagate(piece);
      body_left_ -= piece->size();
      piece_ = std::move(*piece);
      return piece_;
    }
    while (!at_end_) {
      auto member = packages_.next();
      if (!member) return propagate(member);
      at_end_ = !*member;
      if (at_end_) return archive_;
      if (overlay_.has((*member)->path)) continue;
      body_left_ = (*member)->body_bytes;
      piece_ = std::move((*member)->blocks);
      return piece_;
    }
    return std::string_view();
  }

 private:
  TarReader packages_;
  const Overlay& overlay_;
  std::string archive_;
  std::string piece_;
  std::uint64_t body_left_ = 0;
  bool at_end_ = false;
};

Result<> check_modes(const fs::path& image, std::span<const manifest::SourceFile> files) {
  auto listed = list_squashfs(image);
  if (!listed) return propagate(listed);
  const auto& root = (*listed)[""];
  if (root.mode != manifest::kParentMode || root.uid != 0 || root.gid != 0)
    return fail("write", image, "its root directory does not belong to root with mode 0755");
  for (const auto& file : files) {
    auto found = listed->find(file.path);
    if (found == listed->end())
      return fail("find in the rootfs", file.path, "it was not written", "", ErrorKind::kDamaged);
    const auto& [mode, uid, gid] = found->second;
    auto checked = manifest::check_found(*file.entry, file.type, mode, uid, gid,
                                         image.filename().string() + ":" + file.path);
    if (!checked) return checked;
  }
  return {};
}

}  // namespace

Result<> make_rootfs(const DebianTree& debian, const Guest& guest, const fs::path& target,
                     Interrupts& interrupts) {
  auto manifest = rootfs_part(guest.manifest);
  auto files = manifest::list_sources(manifest, guest.sources);
  if (!files) return propagate(files);
  Overlay overlay;
  if (auto added = overlay.add_config(guest.config / kRootfsFiles); !added) return added;
  if (auto added = overlay.add_entries(*files); !added) return added;
  auto present = survey(debian);
  if (!present) return propagate(present);
  auto archive = overlay.archive(present->paths);
  if (!archive) return propagate(archive);
  auto packages = read_packages(debian);
  if (!packages) return propagate(packages);
  Merged merged(std::move(*packages), overlay, std::move(*archive));
  auto written =
      write_squashfs(target, present->newest, [&merged] { return merged.next(); }, interrupts);
  if (!written) return written;
  return check_modes(target, *files);
}

}  // namespace capsem::assets
