#include "cpio/writer.h"

#include <array>
#include <utility>

#include "base/fd.h"
#include "base/text.h"

namespace capsem::cpio {
namespace {

void append_hex(std::string& out, std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (int shift = 28; shift >= 0; shift -= 4) out += kDigits[(value >> shift) & 15];
}

Header header_of(const Metadata& metadata, std::uint32_t inode, std::uint32_t links) {
  return {.inode = inode,
          .mode = metadata.mode,
          .uid = metadata.uid,
          .gid = metadata.gid,
          .links = links,
          .mtime = metadata.mtime,
          .rdevice_major = metadata.rdevice_major,
          .rdevice_minor = metadata.rdevice_minor};
}

Metadata metadata_of(std::uint32_t type, const Attributes& attributes) {
  return {.mode = type | (attributes.permissions & 07777),
          .uid = attributes.uid,
          .gid = attributes.gid,
          .mtime = attributes.mtime};
}

}  // namespace

Result<> check_path(const std::string& path) {
  std::string reason;
  if (path.empty()) reason = "the name is empty";
  if (path.starts_with('/')) reason = "it is absolute";
  if (path.find('\0') != std::string::npos) reason = "it contains a NUL";
  if (path.size() + 1 > kMaxNameBytes)
    reason = "it is longer than " + std::to_string(kMaxNameBytes - 1) + " bytes";
  for (auto part : split(path, '/'))
    if (part.empty() || part == ".." || (part == "." && path != "."))
      reason = "it has an empty, . or .. part";
  if (path == kTrailer) reason = "the name marks the end of an archive";
  if (!reason.empty()) return fail("archive", printable(path), reason, "", ErrorKind::kInvalid);
  return {};
}

Result<> Writer::put_padding(std::size_t count) {
  constexpr std::array<std::byte, 4> kZeros{};
  return count == 0 ? Result<>{} : sink_(std::span(kZeros).first(count));
}

Result<> Writer::put_header(const std::string& path, const Header& header, std::uint64_t body_bytes,
                            std::uint32_t sum) {
  const bool sums = checksums_ == Checksums::kSums;
  std::string record(sums ? kMagicChecksum : kMagic);
  record.reserve(kHeaderBytes + path.size() + 4);
  for (std::uint64_t field :
       {std::uint64_t{header.inode}, std::uint64_t{header.mode}, std::uint64_t{header.uid},
        std::uint64_t{header.gid}, std::uint64_t{header.links}, std::uint64_t{header.mtime},
        body_bytes, std::uint64_t{header.device_major}, std::uint64_t{header.device_minor},
        std::uint64_t{header.rdevice_major}, std::uint64_t{header.rdevice_minor},
        std::uint64_t{path.size() + 1}, std::uint64_t{sums ? sum : 0}})
    append_hex(record, field);
  record += path;
  record.resize(record.size() + 1 + padding_to_4(record.size() + 1), '\0');
  return sink_(as_bytes(record));
}

Result<> Writer::add(const std::string& path, const Header& header,
                     std::span<const std::byte> body) {
  if (auto checked = check_path(path); !checked) return checked;
  if (auto put = put_header(path, header, body.size(), 0); !put) return put;
  if (!body.empty())
    if (auto sunk = sink_(body); !sunk) return sunk;
  return put_padding(padding_to_4(body.size()));
}

Result<> Writer::add_special(const std::string& path, const Metadata& metadata) {
  const bool directory = (metadata.mode & kTypeMask) == kDirectory;
  return add(path, header_of(metadata, next_inode_++, directory ? 2 : 1), {});
}

Result<> Writer::add_directory(const std::string& path, const Attributes& attributes) {
  return add_special(path, metadata_of(kDirectory, attributes));
}

Result<> Writer::add_symlink(const std::string& path, const std::string& target,
                             const Attributes& attributes) {
  return add(path, header_of(metadata_of(kSymlink, attributes), next_inode_++, 1),
             as_bytes(target));
}

Result<> Writer::add_file(const std::string& path, std::span<const std::byte> body,
                          const Attributes& attributes) {
  auto begun = begin_file(std::span(&path, 1), metadata_of(kRegular, attributes), body.size());
  return begun ? write_body(body) : begun;
}

Result<> Writer::begin_file(std::span<const std::string> paths, const Metadata& metadata,
                            std::uint64_t body_bytes, std::uint32_t sum) {
  auto header = header_of(metadata, next_inode_++, static_cast<std::uint32_t>(paths.size()));
  for (const auto& path : paths) {
    if (auto checked = check_path(path); !checked) return checked;
    if (body_bytes > kMaxBodyBytes)
      return fail("archive", printable(path),
                  "it is larger than 4 GiB, which the newc format cannot say", "",
                  ErrorKind::kInvalid);
    // GNU cpio expects the body with the last of the names; Linux takes it from any.
    const bool last = &path == &paths.back();
    if (auto put = put_header(path, header, last ? body_bytes : 0, last ? sum : 0); !put)
      return put;
  }
  body_left_ = body_bytes;
  body_padding_ = padding_to_4(static_cast<std::size_t>(body_bytes));
  return {};
}

Result<> Writer::write_body(std::span<const std::byte> piece) {
  if (piece.size() > body_left_)
    return fail("archive", "a body", "it is longer than its record says");
  if (!piece.empty())
    if (auto sunk = sink_(piece); !sunk) return sunk;
  body_left_ -= piece.size();
  return body_left_ == 0 ? put_padding(std::exchange(body_padding_, 0)) : Result<>{};
}

Result<> Writer::finish() {
  if (body_left_ != 0) return fail("archive", "a body", "it is shorter than its record says");
  return put_header(std::string(kTrailer), Header{.links = 1}, 0, 0);
}

}  // namespace capsem::cpio
