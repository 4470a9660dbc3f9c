// Writes newc archives into memory. The bytes depend on nothing but what is added, in its order:
// inode numbers are counted, and there is no padding after the trailer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cpio/newc.h"

namespace capsem::cpio {

struct Attributes {
  std::uint32_t permissions = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mtime = 0;
};

class Writer {
 public:
  // Every function takes paths relative to the archive's root ("capsem/bin/x"). kInvalid when the
  // path is empty, absolute, contains "." or ".." parts or a NUL, or is too long for Linux, or
  // when the body is too large for the format.
  Result<> add_directory(const std::string& path, const Attributes& attributes);
  Result<> add_file(const std::string& path, std::span<const std::byte> body,
                    const Attributes& attributes);
  Result<> add_symlink(const std::string& path, const std::string& target,
                       const Attributes& attributes);
  // One file under several names, which Linux makes hard links of each other.
  Result<> add_hard_links(std::span<const std::string> paths, std::span<const std::byte> body,
                          const Attributes& attributes);

  // Ends the archive and hands it over.
  std::vector<std::byte> finish();

 private:
  Result<> add(const std::string& path, const Header& header, std::span<const std::byte> body);
  void append_record(std::string_view name, const Header& header, std::span<const std::byte> body);

  std::vector<std::byte> archive_;
  std::uint32_t next_inode_ = 1;
};

// Refuses a path that does not belong into an archive, in the words described above.
Result<> check_path(const std::string& path);

}  // namespace capsem::cpio
