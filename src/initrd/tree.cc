#include "initrd/tree.h"

#include <algorithm>
#include <array>

#include "initrd/file_type.h"

namespace capsem::initrd {
namespace {

constexpr std::size_t kMaxPartBytes = 255;  // NAME_MAX
constexpr unsigned kMaxFollowed = 40;       // MAXSYMLINKS

struct BuiltIn {
  std::string_view path;
  std::uint32_t mode;
  std::uint32_t rdevice_major;
  std::uint32_t rdevice_minor;
};

constexpr std::array kBuiltIn = {
    BuiltIn{"", cpio::kDirectory | 0755, 0, 0},
    BuiltIn{"dev", cpio::kDirectory | 0755, 0, 0},
    BuiltIn{"dev/console", cpio::kCharacterDevice | 0600, 5, 1},
    BuiltIn{"root", cpio::kDirectory | 0700, 0, 0},
};

std::string_view parent_of(std::string_view path) {
  auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view without_leading_slashes(std::string_view path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  return path;
}

}  // namespace

Tree::Tree(Report report) : report_(std::move(report)) {
  for (const auto& entry : kBuiltIn) {
    auto id = create(std::string(entry.path), {.mode = entry.mode,
                                               .rdevice_major = entry.rdevice_major,
                                               .rdevice_minor = entry.rdevice_minor});
    files_[id].built_in = true;
  }
}

void Tree::report(Surprise surprise, std::string_view path, std::string_view other) const {
  if (report_) report_(surprise, path, other);
}

std::optional<Tree::FileId> Tree::at(std::string_view path) const {
  auto found = names_.find(path);
  return found == names_.end() ? std::nullopt : std::optional(found->second);
}

Tree::Place Tree::resolve(std::string_view path) const {
  std::string current;
  std::string rest(path);
  unsigned followed = 0;
  for (;;) {
    std::string_view left = without_leading_slashes(rest);
    auto part = left.substr(0, left.find('/'));
    left = without_leading_slashes(left.substr(part.size()));
    if (part.empty()) return {.path = current, .failure = {}};
    auto next = current;
    if (part == "..") {
      next = parent_of(current);
    } else if (part != ".") {
      if (!next.empty()) next += '/';
      next += part;
    }
    if (part.size() > kMaxPartBytes) return {.path = next, .failure = Surprise::kNameTooLong};
    if (left.empty()) return {.path = next, .failure = {}};
    auto id = at(next);
    if (!id) return {.path = next, .failure = Surprise::kNoDirectory};
    const File& file = files_[*id];
    std::string following;
    if (file.type() == cpio::kSymlink) {
      if (++followed > kMaxFollowed) return {.path = next, .failure = Surprise::kLinkLoop};
      following = file.target;
      following += '/';
      if (file.target.starts_with('/')) current.clear();
    } else if (file.type() == cpio::kDirectory) {
      current = std::move(next);
    } else {
      return {.path = next, .failure = Surprise::kNotADirectory};
    }
    following += left;
    rest = std::move(following);
  }
}

std::expected<Tree::FileId, Surprise> Tree::follow(std::string_view path) const {
  std::string current(path);
  for (unsigned followed = 0; followed <= kMaxFollowed; ++followed) {
    auto place = resolve(current);
    if (place.failure) return std::unexpected(*place.failure);
    auto id = at(place.path);
    if (!id) return std::unexpected(Surprise::kNoDirectory);
    const File& file = files_[*id];
    if (file.type() != cpio::kSymlink) return *id;
    current = file.target.starts_with('/') ? file.target
                                           : std::string(parent_of(place.path)) + "/" + file.target;
  }
  return std::unexpected(Surprise::kLinkLoop);
}

std::optional<Tree::FileId> Tree::lookup(std::string_view path) const {
  auto id = follow(path);
  return id ? std::optional(*id) : std::nullopt;
}

const File* Tree::find(std::string_view path) const {
  auto id = lookup(path);
  return id ? &files_[*id] : nullptr;
}

void Tree::link(const std::string& path, FileId id) {
  names_[path] = id;
  ++files_[id].names;
  if (!path.empty()) ++files_[names_.find(parent_of(path))->second].entries;
}

Tree::FileId Tree::create(const std::string& path, const cpio::Header& header) {
  files_.push_back({.mode = header.mode,
                    .uid = header.uid,
                    .gid = header.gid,
                    .mtime = header.mtime,
                    .rdevice_major = header.rdevice_major,
                    .rdevice_minor = header.rdevice_minor});
  link(path, files_.size() - 1);
  return files_.size() - 1;
}

void Tree::remove(const std::string& path) {
  auto name = names_.find(path);
  --files_[name->second].names;
  --files_[names_.find(parent_of(path))->second].entries;
  names_.erase(name);
}

// clean_path(): `type` 0 is the type of nothing.
void Tree::clean(const cpio::Record& record, const std::string& path, std::uint32_t type) {
  auto id = at(path);
  if (!id || files_[*id].type() == type || path.empty()) return;
  const File& file = files_[*id];
  if (file.type() == cpio::kDirectory && file.entries != 0) return;
  if (file.type() != record.header.type())
    report(Surprise::kReplacesType, record.path, type_name(file.mode));
  remove(path);
}

Tree::Linked Tree::maybe_link(const cpio::Record& record, const Place& place) {
  if (!may_be_linked(record.header)) return Linked::kFirst;
  auto [entry, first] = links_.try_emplace(link_key(record.header, 0));
  auto& links = entry->second;
  if (first) links.first = record.path;
  ++links.names;
  links.expected = std::max(links.expected, record.header.links);
  links.has_body = links.has_body || record.body_bytes != 0;
  if (first) return Linked::kFirst;
  if (place.failure) return Linked::kFailed;
  clean(record, place.path, 0);
  auto from = resolve(links.first);
  auto id = from.failure ? std::nullopt : at(from.path);
  if (id && files_[*id].type() != cpio::kDirectory && !at(place.path)) {
    link(place.path, *id);
    return Linked::kYes;
  }
  if (at(place.path))
    report(Surprise::kDirectoryInTheWay, record.path, place.path);
  else
    report(Surprise::kLinkFails, record.path, links.first);
  return Linked::kFailed;
}

void Tree::set_attributes(const cpio::Record& record, FileId id, bool permissions) {
  const auto& header = record.header;
  File& file = files_[id];
  bool same = file.uid == header.uid && file.gid == header.gid &&
              (!permissions || file.permissions() == header.permissions());
  if (!same && !file.built_in) report(Surprise::kChangesPermissions, record.path);
  file.uid = header.uid;
  file.gid = header.gid;
  if (permissions) file.mode = file.type() | header.permissions();
  file.built_in = false;
}

std::optional<Tree::FileId> Tree::add_regular(const cpio::Record& record, const Place& place,
                                              const Body& body) {
  auto linked = maybe_link(record, place);
  if (linked == Linked::kFailed || place.failure) return std::nullopt;
  auto id = at(place.path);
  if (!id) {
    id = create(place.path, record.header);
  } else if (files_[*id].type() != cpio::kRegular) {
    report(linked == Linked::kYes ? Surprise::kLinksToReplaced : Surprise::kDirectoryInTheWay,
           record.path, place.path);
    return std::nullopt;
  } else {
    if (linked == Linked::kFirst && files_[*id].names > 1)
      report(Surprise::kWritesThroughLink, record.path);
    set_attributes(record, *id, true);
  }
  File& file = files_[*id];
  if (linked == Linked::kYes && record.body_bytes == 0) return std::nullopt;
  file.mtime = record.header.mtime;
  file.bytes = record.body_bytes;
  file.sha256 = body.sha256;
  return id;
}

std::optional<Tree::FileId> Tree::add_directory(const cpio::Record& record,
                                                const std::string& path) {
  auto id = at(path);
  if (!id) return create(path, record.header);
  set_attributes(record, *id, true);
  files_[*id].mtime = record.header.mtime;
  return id;
}

std::optional<Tree::FileId> Tree::add_special(const cpio::Record& record, const Place& place) {
  auto linked = maybe_link(record, place);
  if (linked != Linked::kFirst || place.failure) return std::nullopt;
  const auto& header = record.header;
  auto id = at(place.path);
  if (!id) return create(place.path, header);
  // mknod() fails and the rest is done all the same, whatever is there.
  const File& file = files_[*id];
  if (file.type() != header.type())
    report(Surprise::kDirectoryInTheWay, record.path, place.path);
  else if (file.rdevice_major != header.rdevice_major || file.rdevice_minor != header.rdevice_minor)
    report(Surprise::kKeepsDevice, record.path);
  set_attributes(record, *id, true);
  return std::nullopt;
}

std::optional<Tree::FileId> Tree::add_symlink(const cpio::Record& record, const std::string& path,
                                              const Body& body) {
  if (auto id = at(path)) {
    // symlink() fails; the owner is set all the same.
    report(Surprise::kDirectoryInTheWay, record.path, path);
    set_attributes(record, *id, false);
    return std::nullopt;
  }
  auto id = create(path, record.header);
  // Linux ends it at a NUL.
  files_[id].target = body.target.substr(0, body.target.find('\0'));
  return id;
}

std::optional<Tree::FileId> Tree::add(const cpio::Record& record, const Body& body) {
  constexpr std::uint32_t kSkipped = cpio::kNameLength | cpio::kSymlinkTooLong | cpio::kBodyIgnored;
  const auto type = record.header.type();
  const bool unknown = (record.oddities & cpio::kUnknownType) != 0;
  if ((record.oddities & kSkipped) != 0 || (unknown && record.body_bytes != 0)) return std::nullopt;
  auto place = resolve(record.path);
  if (place.failure)
    report(*place.failure, record.path, place.path);
  else
    clean(record, place.path, type == cpio::kSymlink ? 0 : type);
  // A file whose path fails still counts as the first name of its hard links.
  if (type == cpio::kRegular) return add_regular(record, place, body);
  if (place.failure && type != cpio::kDirectory && type != cpio::kSymlink && !unknown)
    return add_special(record, place);
  if (place.failure) return std::nullopt;
  if (type == cpio::kDirectory) return add_directory(record, place.path);
  if (type == cpio::kSymlink) return add_symlink(record, place.path, body);
  return unknown ? std::nullopt : add_special(record, place);
}

void Tree::end_archive() {
  for (const auto& [key, links] : links_)
    if (!links.has_body && links.names < links.expected && key.type == cpio::kRegular)
      report(Surprise::kLinkWithoutBody, links.first);
  links_.clear();
}

}  // namespace capsem::initrd
