// What goes into an archive: one node for each file, directory, link or device, wherever it comes
// from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/file_identity.h"
#include "base/sha256.h"
#include "base/stream.h"
#include "cpio/writer.h"

namespace capsem::initrd {

// The bytes of a node's body: of a file on the host, of a part of an open file, or given here.
struct Content {
  std::filesystem::path file;
  std::optional<FileIdentity> identity;  // of `file`, when it was listed
  std::shared_ptr<const Fd> spool;
  std::uint64_t offset = 0;  // in `spool`
  std::string bytes;
};

struct Node {
  std::vector<std::string> paths;  // without leading slash; several names are hard links
  cpio::Metadata metadata;
  Content content;               // of a regular file, and a symbolic link's target
  std::uint64_t body_bytes = 0;  // its size
  std::optional<Digest> sha256;  // of the content, once it is known

  std::uint32_t type() const { return metadata.mode & cpio::kTypeMask; }
};

// A time as a record can say it: from 1970 to 2106, what lies outside at the nearer end.
std::uint32_t archived_time(std::int64_t seconds);

// A node whose body is `bytes`: a small file, or a symbolic link.
Node node_of_bytes(std::string path, std::uint32_t mode, std::string bytes);

// Gives all of the node's content to `sink`, in pieces. An error when the file is no longer as it
// was when it was listed, besides the system's and the sink's.
Result<> read_content(const Node& node, const Sink& sink);

// The SHA-256 of that content.
Result<Digest> hash_content(const Node& node);

// Appends the nodes to an archive; of each regular file the content's hash is compared with
// `sha256` where that is known, and put there where `hash` asks for it. `checksum` says that the
// writer wants sums. kDamaged when a hash is not the known one.
struct ArchiveOptions {
  std::uint32_t mtime = 0;  // of every record, in place of the nodes' own, unless keep_mtime
  bool keep_mtime = false;
  bool checksum = false;
  bool hash = false;
};
Result<> write_nodes(std::span<Node> nodes, const ArchiveOptions& options, cpio::Writer& writer);

// How long the archive of these nodes is, its trailer included.
std::uint64_t archive_bytes(std::span<const Node> nodes);

}  // namespace capsem::initrd
