// What Linux leaves of an image: the files that it makes of the records, one after the other, and
// where that is not what the image's author may have meant. init/initramfs.c, do_name(),
// maybe_link(), clean_path() and do_symlink().
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/sha256.h"
#include "cpio/reader.h"
#include "initrd/link_key.h"

namespace capsem::initrd {

// A file with one name or, as hard links, several.
struct File {
  std::uint32_t mode = 0;  // type and permission bits
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime = 0;
  std::uint32_t rdevice_major = 0;
  std::uint32_t rdevice_minor = 0;
  std::uint32_t names = 0;
  std::uint32_t entries = 0;  // of a directory
  bool built_in = false;      // no record of the image made it or changed it
  std::uint64_t bytes = 0;    // of a regular file
  Digest sha256;              // of its content, as add() was given it
  std::string target;         // of a symbolic link

  std::uint32_t type() const { return mode & cpio::kTypeMask; }
  std::uint32_t permissions() const { return mode & 07777; }
};

enum class Surprise {
  kNoDirectory,         // a directory of its path does not exist: nothing is made
  kNotADirectory,       // a part of its path is something else: nothing is made
  kLinkLoop,            // its path leads through too many symbolic links: nothing is made
  kNameTooLong,         // a part of its path is over 255 bytes: nothing is made
  kDirectoryInTheWay,   // a directory that is not empty stays: nothing is made
  kReplacesType,        // what was there, of another type, is removed first
  kChangesPermissions,  // it gives another mode or owner to what an earlier record made
  kWritesThroughLink,   // an earlier file with further names: they get the new content as well
  kKeepsDevice,         // a device of its type stays, with its own numbers
  kLinkFails,           // the file it is a hard link to is not there (any more): nothing is made
  kLinksToReplaced,     // another thing took the first name's place, and is what it is linked to
  kLinkWithoutBody,     // a hard link whose file's body is in no record of its archive: it is empty
};

// What a record's body holds.
struct Body {
  Digest sha256;       // of a regular file
  std::string target;  // of a symbolic link
};

class Tree {
 public:
  using FileId = std::size_t;
  // `path` is the record's name; `other` the path, or for kReplacesType the type, that the
  // surprise is about, or empty.
  using Report =
      std::function<void(Surprise surprise, std::string_view path, std::string_view other)>;

  // Begins as Linux's own archive leaves it (usr/default_cpio_list).
  explicit Tree(Report report = {});

  // Does what Linux does for `record`, with its `body`. Returns the file that the record's content
  // went to, or nothing when it went nowhere.
  std::optional<FileId> add(const cpio::Record& record, const Body& body);

  // A trailer: hard links do not reach beyond it. Also for the image's end.
  void end_archive();

  const File& file(FileId id) const { return files_[id]; }

  // Every name in the tree, without leading slashes; "" is the root.
  const std::map<std::string, FileId, std::less<>>& names() const { return names_; }

  // What `path` leads to when every symbolic link is followed; otherwise why it leads nowhere,
  // which is kNoDirectory when it is only the last part that does not exist.
  std::expected<FileId, Surprise> follow(std::string_view path) const;
  std::optional<FileId> lookup(std::string_view path) const;  // the same, or nothing
  const File* find(std::string_view path) const;              // the same, or null

  // How many files there ever were; the tree takes some 300 bytes and the path for each.
  std::size_t size() const { return files_.size(); }

 private:
  // Where a path leads when all but its last part are followed.
  struct Place {
    std::string path;
    std::optional<Surprise> failure;  // `path` is then the part that failed
  };
  // The names of one file, as far as its archive has come.
  struct Links {
    std::string first;  // as its record has it: Linux looks it up again for each further name
    std::uint32_t names = 0;
    std::uint32_t expected = 0;
    bool has_body = false;
  };
  enum class Linked { kFirst, kYes, kFailed };

  Place resolve(std::string_view path) const;
  std::optional<FileId> at(std::string_view path) const;
  FileId create(const std::string& path, const cpio::Header& header);
  void link(const std::string& path, FileId id);
  void remove(const std::string& path);
  void clean(const cpio::Record& record, const std::string& path, std::uint32_t type);
  Linked maybe_link(const cpio::Record& record, const Place& place);
  void set_attributes(const cpio::Record& record, FileId id, bool permissions);

  std::optional<FileId> add_regular(const cpio::Record& record, const Place& place,
                                    const Body& body);
  std::optional<FileId> add_directory(const cpio::Record& record, const std::string& path);
  std::optional<FileId> add_special(const cpio::Record& record, const Place& place);
  std::optional<FileId> add_symlink(const cpio::Record& record, const std::string& path,
                                    const Body& body);
  void report(Surprise surprise, std::string_view path, std::string_view other = {}) const;

  Report report_;
  std::vector<File> files_;
  std::map<std::string, FileId, std::less<>> names_;
  std::unordered_map<LinkKey, Links, LinkKeyHash> links_;
};

}  // namespace capsem::initrd
