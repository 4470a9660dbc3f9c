// Tar archives by libarchive: a reader for a file, and a writer whose bytes are taken away as they
// come, so that a whole archive is never in memory.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace capsem::assets {

class TarReader {
 public:
  // Opens the archive `path` (ustar, pax or GNU). An error of open(2) has its kind.
  static Result<TarReader> open(const std::filesystem::path& path);

  // The next member, valid until the next call; what was not read of the last one's body is
  // skipped. Null at the end. kDamaged when the archive is not whole.
  Result<archive_entry*> next();

  // The next piece of the member's body, valid until the next call; empty at its end. Holes of a
  // sparse file read as zeros. kDamaged when the archive is not whole.
  Result<std::string_view> body();

 private:
  struct Close {
    void operator()(archive* reader) const { ::archive_read_free(reader); }
  };
  using Reader = std::unique_ptr<archive, Close>;

  TarReader(Reader reader, std::string name);
  std::unexpected<Error> failed() const;
  std::unexpected<Error> damaged(const std::string& detail) const;

  Reader reader_;
  std::string name_;
  std::string piece_;
};

// Where a member goes in the rootfs: its path without "./" before it or '/' behind it.
std::string path_of(archive_entry* member);

class TarWriter {
 public:
  // Writes GNU archives, which have no extended attributes (the rootfs has none either). The bytes
  // depend on what is added alone.
  static Result<TarWriter> create();
  TarWriter(TarWriter&&) = default;
  TarWriter& operator=(TarWriter&&) = delete;

  // Begins a member; a body of archive_entry_size() bytes has to follow.
  Result<> add(archive_entry* member);
  Result<> add_body(std::string_view piece);

  // These belong to root and carry the time 0. Paths are relative, and a directory comes before
  // what it holds.
  Result<> add_directory(const std::string& path, std::uint32_t mode);
  Result<> add_file(const std::string& path, std::string_view content, std::uint32_t mode);
  Result<> add_symlink(const std::string& path, const std::string& target);

  // Writes the end of the archive.
  Result<> finish();

  // How many bytes wait to be taken, and those bytes.
  std::size_t waiting_bytes() const { return out_->size(); }
  std::string take();

 private:
  struct Close {
    void operator()(archive* writer) const { ::archive_write_free(writer); }
  };

  TarWriter() = default;
  Result<> add(const std::string& path, unsigned type, std::uint32_t mode, std::string_view content,
               const std::string& target);
  std::unexpected<Error> failed(const std::string& path) const;

  // Held by address in the writer, which may write once more when it is freed.
  std::unique_ptr<std::string> out_ = std::make_unique<std::string>();
  std::unique_ptr<archive, Close> writer_;
};

}  // namespace capsem::assets
