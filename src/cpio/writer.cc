#include "cpio/writer.h"

#include <array>

#include "base/text.h"

namespace capsem::cpio {
namespace {

void append_hex(std::vector<std::byte>& out, std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (int shift = 28; shift >= 0; shift -= 4)
    out.push_back(static_cast<std::byte>(kDigits[(value >> shift) & 15]));
}

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Header header_of(std::uint32_t type, const Attributes& attributes, std::uint32_t inode,
                 std::uint32_t links) {
  return {.inode = inode,
          .mode = type | (attributes.permissions & 07777),
          .uid = attributes.uid,
          .gid = attributes.gid,
          .links = links,
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
    if (part.empty() || part == "." || part == "..") reason = "it has an empty, . or .. part";
  if (path == kTrailer) reason = "the name marks the end of an archive";
  if (!reason.empty()) return fail("archive", printable(path), reason, "", ErrorKind::kInvalid);
  return {};
}

void Writer::append_record(std::string_view name, const Header& header,
                           std::span<const std::byte> body) {
  append(archive_, std::as_bytes(std::span(kMagic)));
  for (std::uint64_t field :
       {std::uint64_t{header.inode}, std::uint64_t{header.mode}, std::uint64_t{header.uid},
        std::uint64_t{header.gid}, std::uint64_t{header.links}, std::uint64_t{header.mtime},
        std::uint64_t{body.size()}, std::uint64_t{header.device_major},
        std::uint64_t{header.device_minor}, std::uint64_t{header.rdevice_major},
        std::uint64_t{header.rdevice_minor}, std::uint64_t{name.size() + 1}, std::uint64_t{0}})
    append_hex(archive_, field);
  append(archive_, std::as_bytes(std::span(name)));
  archive_.push_back(std::byte{0});
  archive_.resize(archive_.size() + padding_to_4(kHeaderBytes + name.size() + 1));
  append(archive_, body);
  archive_.resize(archive_.size() + padding_to_4(body.size()));
}

Result<> Writer::add(const std::string& path, const Header& header,
                     std::span<const std::byte> body) {
  if (auto checked = check_path(path); !checked) return checked;
  if (body.size() > kMaxBodyBytes)
    return fail("archive", path, "it is larger than 4 GiB, which the newc format cannot say", "",
                ErrorKind::kInvalid);
  append_record(path, header, body);
  return {};
}

Result<> Writer::add_directory(const std::string& path, const Attributes& attributes) {
  return add(path, header_of(kDirectory, attributes, next_inode_++, 2), {});
}

Result<> Writer::add_file(const std::string& path, std::span<const std::byte> body,
                          const Attributes& attributes) {
  return add(path, header_of(kRegular, attributes, next_inode_++, 1), body);
}

Result<> Writer::add_symlink(const std::string& path, const std::string& target,
                             const Attributes& attributes) {
  return add(path, header_of(kSymlink, attributes, next_inode_++, 1),
             std::as_bytes(std::span(target.data(), target.size())));
}

Result<> Writer::add_hard_links(std::span<const std::string> paths, std::span<const std::byte> body,
                                const Attributes& attributes) {
  auto header =
      header_of(kRegular, attributes, next_inode_++, static_cast<std::uint32_t>(paths.size()));
  for (const auto& path : paths) {
    // GNU cpio expects the body with the last of the names; Linux takes it from any.
    bool last = &path == &paths.back();
    auto added = add(path, header, last ? body : std::span<const std::byte>{});
    if (!added) return added;
  }
  return {};
}

std::vector<std::byte> Writer::finish() {
  append_record(kTrailer, Header{.links = 1}, {});
  return std::move(archive_);
}

}  // namespace capsem::cpio
