// Writes newc archives into a sink. The bytes depend on nothing but what is added, in its order:
// inode numbers are counted, and there is no padding after the trailer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "cpio/newc.h"

namespace capsem::cpio {

struct Attributes {
  std::uint32_t permissions = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime = 0;
};

// What a record says beside its name, its inode and its size.
struct Metadata {
  std::uint32_t mode = 0;  // type and permission bits
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime = 0;
  std::uint32_t rdevice_major = 0;
  std::uint32_t rdevice_minor = 0;
};

enum class Checksums { kNone, kSums };

class Writer {
 public:
  // With kSums every record is 070702; cpio(1) expects all of an archive to be of one kind.
  explicit Writer(Sink sink, Checksums checksums = Checksums::kNone)
      : sink_(std::move(sink)), checksums_(checksums) {}

  // Every function takes paths relative to the archive's root ("capsem/bin/x"). kInvalid when the
  // path is empty, absolute, contains "." or ".." parts or a NUL, or is too long for Linux, or
  // when the body is too large for the format; otherwise the sink's error. "." alone is the root.
  Result<> add_directory(const std::string& path, const Attributes& attributes);
  Result<> add_file(const std::string& path, std::span<const std::byte> body,
                    const Attributes& attributes);
  Result<> add_symlink(const std::string& path, const std::string& target,
                       const Attributes& attributes);

  // One file under one or, as hard links, several names. Its body of `body_bytes` follows by
  // write_body(), in any pieces, before anything else is added. `sum` is that of the body's bytes,
  // and written with kSums only.
  Result<> begin_file(std::span<const std::string> paths, const Metadata& metadata,
                      std::uint64_t body_bytes, std::uint32_t sum = 0);
  Result<> write_body(std::span<const std::byte> piece);

  // Anything without a body: directories, devices, fifos, sockets.
  Result<> add_special(const std::string& path, const Metadata& metadata);

  // Ends the archive.
  Result<> finish();

 private:
  Result<> add(const std::string& path, const Header& header, std::span<const std::byte> body);
  Result<> put_header(const std::string& path, const Header& header, std::uint64_t body_bytes,
                      std::uint32_t sum);
  Result<> put_padding(std::size_t count);

  Sink sink_;
  Checksums checksums_;
  std::uint32_t next_inode_ = 1;
  std::uint64_t body_left_ = 0;
  std::size_t body_padding_ = 0;
};

// Refuses a path that does not belong into an archive, in the words described above.
Result<> check_path(const std::string& path);

}  // namespace capsem::cpio
