// Remembers which files were found to have which hash, so that a file that nobody touched is not
// read again at every boot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/file_identity.h"
#include "base/sha256.h"

namespace capsem::assets {

class VerifiedFiles {
 public:
  // The record at `path`, which belongs to this part alone. A record that is missing, unreadable
  // or damaged is an empty one: its only use is to save time.
  static VerifiedFiles load(std::filesystem::path path);

  // The hash of `file`, called `name` in errors: the remembered one when the file is as it was, by
  // reading it otherwise. `key` is the file's absolute path.
  Result<Digest> hash(const Fd& file, const std::string& key, const std::string& name);

  // How many files hash() had to read.
  int files_read() const { return files_read_; }

  // Writes the record, atomically, when there is something new. A failure is no error: the next
  // run reads the files again.
  void save() const;

 private:
  struct Record {
    FileIdentity identity;
    Digest sha256;
  };

  explicit VerifiedFiles(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
  std::map<std::string, Record> records_;  // by key
  int files_read_ = 0;
  bool changed_ = false;
};

}  // namespace capsem::assets
