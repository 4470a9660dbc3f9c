// What of a file changes when its content does: enough to know, without reading it, that it is
// still the one that was read before. Host only.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace capsem {

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since 1970
  // The kernel's own: no program can set it back as it can the modification time.
  std::int64_t changed_ns = 0;

  bool operator==(const FileIdentity&) const = default;
};

FileIdentity identity_of(const struct stat& status);

// fstat(2); `name` for the error.
Result<FileIdentity> identity_of(const Fd& file, const std::string& name);

// The clock that file times are taken from, which advances with the kernel's tick.
std::int64_t file_clock_ns();

// Whether a change of the file after `now_ns` (file_clock_ns()) would give it other times than it
// has in `identity`. Where the time of change is a whole second, two seconds have to have passed:
// some file systems keep no more of it (ext4 with 128-byte inodes, ext3, NFS and SMB in front of
// such), and FAT keeps every other.
bool would_show_change(const FileIdentity& identity, std::int64_t now_ns);

// The same for a file that others may write, of which `now_ns` was asked before its content was
// read: its times have to be older than the slowest clock's last tick too. A younger file can be
// changed without a trace, as git's index calls it, racily.
bool is_settled(const FileIdentity& identity, std::int64_t now_ns);

// Waits, for two ticks of the slowest clock at most, until a change of the file that looks like
// `identity` would show; whether it would. It is not so when the file system keeps whole seconds,
// or its clock is ahead of ours.
bool wait_until_change_shows(const FileIdentity& identity);

}  // namespace capsem
