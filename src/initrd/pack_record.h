// What a packer remembers of its last run at the same target, so that the next one looks at files
// instead of reading them. Its only use is to save time: without it everything is read again.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/file_identity.h"
#include "base/sha256.h"
#include "initrd/image_parts.h"
#include "initrd/node.h"

namespace capsem::initrd {

// Where the records lie in capsem's cache directory.
inline constexpr const char* kRecordsDirectory = "packs";

// A file and what was found to be its hash.
struct KnownFile {
  FileIdentity identity;
  Digest sha256;
};

class PackRecord {
 public:
  PackRecord();

  // The record at `path`; an empty one when it is missing, damaged or of another version.
  static PackRecord load(const std::filesystem::path& path);

  // Writes it, atomically. A failure is returned for the caller to report.
  Result<> save(const std::filesystem::path& path) const;

  // The hash of a node's file when it is the one that was read before.
  std::optional<Digest> find_file(const Content& content) const;
  // Remembers a node's hash, unless its file was young at `now_ns`, when it was looked at.
  void add_file(const Node& node, std::int64_t now_ns);
  void forget_files() { files_.clear(); }

  std::map<Digest, KnownFile> segments;  // of the cache, by key
  Digest inputs;                         // what the image was made from, all in one
  FileIdentity image;                    // as it was written
  // Whether a later change of the image would show in its times; if not, it is read.
  bool image_settled = false;
  std::vector<ImagePart> image_parts;

 private:
  std::string key_of(const std::filesystem::path& file) const;

  std::filesystem::path working_directory_;
  std::unordered_map<std::string, KnownFile> files_;
};

}  // namespace capsem::initrd
