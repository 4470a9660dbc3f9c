#include "assets/rootfs.h"

#include <algorithm>
#include <map>
#include <set>

#include "assets/config_files.h"
#include "assets/squashfs.h"
#include "assets/tar.h"
#include "base/file.h"
#include "base/text.h"
#include "manifest/policy.h"
#include "manifest/sums.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxEntryBytes = 1 << 30;
constexpr std::size_t kPieceBytes = 1 << 20;

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

  // The files of the entries, and the list of their hashes that PID 1 compares them with.
  Result<> add_entries(std::span<const manifest::SourceFile> sources) {
    manifest::Sums sums;
    for (const auto& source : sources) {
      auto path = source.path.substr(1);
      if (source.type == manifest::FileType::kDirectory) {
        directories_[path] = source.mode;
        continue;
      }
      auto content = read_file(source.source, kMaxEntryBytes);
      if (!content) return propagate(content);
      sums.emplace(source.path, sha256(as_bytes(*content)));
      files_[path] = {.path = path, .mode = source.mode, .content = std::move(*content)};
    }
    auto path = std::string(manifest::kSumsPath).substr(1);
    files_[path] = {
        .path = path, .mode = manifest::kSumsMode, .content = manifest::encode_sums(sums)};
    return {};
  }

  bool has(const std::string& path) const {
    return files_.contains(path) || directories_.contains(path);
  }

  // The directories that hold our files, where the packages have none; `present` are the paths that
  // the packages have.
  void add_parents(const std::set<std::string>& present) {
    for (const auto& [path, file] : files_)
      for (auto slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1))
        if (auto parent = path.substr(0, slash); !present.contains(parent))
          directories_.emplace(parent, manifest::kParentMode);
  }

  Result<> write(TarWriter& archive) const {
    for (const auto& [path, mode] : directories_)
      if (auto added = archive.add_directory(path, mode); !added) return added;
    for (const auto& [path, file] : files_) {
      auto added = file.type == ConfigFile::Type::kSymlink
                       ? archive.add_symlink(path, file.content)
                       : archive.add_file(path, file.content, file.mode);
      if (!added) return added;
    }
    return {};
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

Result<Survey> survey(const DebianTree& debian) {
  auto packages = TarReader::open(debian.tree);
  if (!packages) return propagate(packages);
  Survey found;
  for (;;) {
    auto member = packages->next();
    if (!member) return propagate(member);
    if (*member == nullptr) return found;
    std::int64_t mtime = ::archive_entry_mtime(*member);
    if (mtime < debian.made_at) found.newest = std::max(found.newest, mtime);
    found.paths.insert(path_of(*member));
  }
}

// An archive of what the packages' has, without the members that ours replace, then ours; made
// while it is read.
class Merged {
 public:
  Merged(TarReader packages, const Overlay& overlay, TarWriter archive)
      : packages_(std::move(packages)), overlay_(overlay), archive_(std::move(archive)) {}

  // The next piece, valid until the next call; empty at the end.
  Result<std::string_view> next() {
    while (!ended_ && archive_.waiting_bytes() < kPieceBytes)
      if (auto gone = in_body_ ? copy_body() : copy_member(); !gone) return propagate(gone);
    piece_ = archive_.take();
    return piece_;
  }

 private:
  Result<> copy_body() {
    auto piece = packages_.body();
    if (!piece) return propagate(piece);
    in_body_ = !piece->empty();
    return in_body_ ? archive_.add_body(*piece) : Result<>();
  }

  Result<> copy_member() {
    auto member = packages_.next();
    if (!member) return propagate(member);
    if (*member == nullptr) {
      ended_ = true;
      if (auto written = overlay_.write(archive_); !written) return written;
      return archive_.finish();
    }
    if (overlay_.has(path_of(*member))) return {};
    in_body_ = true;
    return archive_.add(*member);
  }

  TarReader packages_;
  const Overlay& overlay_;
  TarWriter archive_;
  std::string piece_;
  bool in_body_ = false;
  bool ended_ = false;
};

Result<> check_modes(const fs::path& image, std::span<const manifest::SourceFile> files) {
  auto listed = list_squashfs(image);
  if (!listed) return propagate(listed);
  constexpr std::pair<const char*, std::uint32_t> kOwn[] = {
      {"", manifest::kParentMode}, {manifest::kSumsPath, manifest::kSumsMode}};
  for (const auto& [path, mode] : kOwn) {
    const auto& found = (*listed)[path];
    if (found.mode != mode || found.uid != 0 || found.gid != 0)
      return fail(
          "write", image,
          (*path == '\0' ? "/" : path) + (" does not belong to root with mode " + octal(mode)));
  }
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
                     HeldSignals& signals) {
  auto manifest = rootfs_part(guest.manifest);
  auto files = manifest::list_sources(manifest, guest.sources);
  if (!files) return propagate(files);
  Overlay overlay;
  if (auto added = overlay.add_config(guest.config / kRootfsFiles); !added) return added;
  if (auto added = overlay.add_entries(*files); !added) return added;
  auto present = survey(debian);
  if (!present) return propagate(present);
  overlay.add_parents(present->paths);
  auto packages = TarReader::open(debian.tree);
  if (!packages) return propagate(packages);
  auto archive = TarWriter::create();
  if (!archive) return propagate(archive);
  Merged merged(std::move(*packages), overlay, std::move(*archive));
  auto written =
      write_squashfs(target, present->newest, [&merged] { return merged.next(); }, signals);
  if (!written) return written;
  return check_modes(target, *files);
}

}  // namespace capsem::assets
