// Makes files of records, in their order and with what Linux makes of them (init/initramfs.c):
// a later record replaces an earlier one, several names of an archive are hard links of one file,
// and whichever of them has a body gives it to all.
//
// Where Linux starts from an empty root, the directory here may hold something. A file in the way
// is replaced, never written to, so that its other names keep their content; only what was made
// here is written through, as Linux does. Missing directories are made, where Linux drops the
// record.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "cpio/newc.h"
#include "initrd/link_key.h"
#include "initrd/root_directory.h"

namespace capsem::initrd {

// A record without its body.
struct Entry {
  cpio::Header header;
  std::string path;
  std::string target;  // of a symbolic link
  std::uint64_t body_bytes = 0;
  std::uint32_t archive = 0;
};

struct WriteOptions {
  bool devices = false;     // make device nodes, which takes root
  bool keep_owner = false;  // chown, which takes root; else all belongs to who runs it
};

// What was left out.
struct WriteSummary {
  std::uint64_t failed = 0;          // records that could not be made
  std::uint64_t devices = 0;         // without WriteOptions::devices
  std::uint64_t set_id_dropped = 0;  // files whose set-id bit would mean another owner
};

// A file, whatever its name. With its type, as numbers of what was removed are used again.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  mode_t type = 0;

  bool operator==(const FileId&) const = default;
};

struct FileIdHash {
  std::size_t operator()(const FileId& id) const {
    return std::hash<std::uint64_t>{}(id.inode ^ (std::uint64_t{id.device} << 32));
  }
};

class TreeWriter {
 public:
  // `failed` is told of each record that could not be made.
  TreeWriter(Fd directory, const WriteOptions& options, std::function<void(const Error&)> failed);
  ~TreeWriter();
  TreeWriter(const TreeWriter&) = delete;
  TreeWriter& operator=(const TreeWriter&) = delete;

  // Makes the record; a file's body follows by write(), in pieces, and end(). An error is returned
  // only where going on makes no sense, as on a full disk; the file under way is removed then.
  Result<> begin(Entry entry);
  Result<> write(std::span<const std::byte> piece);
  Result<> end();

  // Removes the file under way, if there is one; of several names only the last, the others are
  // empty then.
  void abandon();

  // Gives the directories their modes and times.
  Result<> finish();

  const WriteSummary& summary() const { return summary_; }

 private:
  struct FirstName {
    std::string path;
    FileId id;
  };

  Outcome<> make();
  Outcome<> make_file(const Place& place);
  Outcome<> make_directory(const Place& place);
  Outcome<> make_symlink(const Place& place);
  Outcome<> make_special(const Place& place);
  Outcome<Fd> create(const Place& place);
  Outcome<std::optional<FileId>> join(const Place& place);
  Outcome<> remember(const Place& place);
  Outcome<> remove(const Place& place);
  Outcome<> set_attributes(const Fd& fd);
  Outcome<> set_attributes(const Place& place);
  mode_t permissions();
  Result<> judge(int error, const std::string& path);

  RootDirectory root_;
  WriteOptions options_;
  std::function<void(const Error&)> failed_;
  WriteSummary summary_;
  uid_t uid_;
  gid_t gid_;

  Entry entry_;  // the last
  Place place_;  // of the file under way
  Fd file_;

  std::unordered_map<LinkKey, FirstName, LinkKeyHash> first_names_;  // of entry_'s archive
  std::unordered_set<FileId, FileIdHash> linked_;  // files made here that have several names
  std::map<std::string, cpio::Header> directories_;
};

}  // namespace capsem::initrd
