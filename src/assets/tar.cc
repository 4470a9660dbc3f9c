#include "assets/tar.h"

#include <cerrno>
#include <utility>

namespace capsem::assets {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;
constexpr std::size_t kPieceBytes = 256 << 10;

struct FreeEntry {
  void operator()(archive_entry* entry) const { ::archive_entry_free(entry); }
};

std::string text_of(archive* which) {
  const char* text = ::archive_error_string(which);
  return text != nullptr ? text : "no reason is known";
}

// Names outside of ASCII cannot be converted from UTF-8 to the "C" locale of this program;
// libarchive then keeps their bytes as they are, which is what a rootfs needs, and warns. It warns
// of damage, too, and only the text tells which.
bool is_read(archive* reader, int status) {
  if (status != ARCHIVE_WARN) return status == ARCHIVE_OK;
  return text_of(reader).find("can't be converted") != std::string::npos;
}

la_ssize_t append(archive*, void* out, const void* data, std::size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

}  // namespace

TarReader::TarReader(Reader reader, std::string name)
    : reader_(std::move(reader)), name_(std::move(name)) {}

std::unexpected<Error> TarReader::damaged(const std::string& detail) const {
  return fail("read", name_, "it is not a whole tar archive: " + detail,
              "make it again with 'capsem build-assets --refresh'", ErrorKind::kDamaged);
}

std::unexpected<Error> TarReader::failed() const {
  // EINVAL, EILSEQ and -1 are libarchive's own verdicts; others come from the system.
  int reason = ::archive_errno(reader_.get());
  if (reason > 0 && reason != EINVAL && reason != EILSEQ) return fail_system("read", name_, reason);
  return damaged(text_of(reader_.get()));
}

Result<TarReader> TarReader::open(const std::filesystem::path& path) {
  TarReader opened(Reader(::archive_read_new()), path.string());
  auto* reader = opened.reader_.get();
  if (reader == nullptr) return fail_system("read", opened.name_, ENOMEM);
  if (::archive_read_support_format_tar(reader) != ARCHIVE_OK ||
      ::archive_read_open_filename(reader, path.c_str(), kReadBytes) != ARCHIVE_OK)
    return opened.failed();
  return opened;
}

Result<archive_entry*> TarReader::next() {
  auto* reader = reader_.get();
  archive_entry* member = nullptr;
  int status = ::archive_read_next_header(reader, &member);
  if (status == ARCHIVE_EOF) {
    // libarchive takes an archive without the mark of its end for whole, and so one cut off between
    // two members, or in a body that was skipped.
    if (::archive_filter_bytes(reader, 0) == ::archive_read_header_position(reader))
      return damaged("its end is missing");
    return nullptr;
  }
  if (!is_read(reader, status)) return failed();
  if (::archive_entry_pathname(member) == nullptr) return damaged("a member has no name");
  // body() fills the holes, so the member is to be written as one without.
  ::archive_entry_sparse_clear(member);
  return member;
}

Result<std::string_view> TarReader::body() {
  piece_.resize(kPieceBytes);
  auto size = ::archive_read_data(reader_.get(), piece_.data(), piece_.size());
  if (size < 0) return failed();
  return std::string_view(piece_).substr(0, static_cast<std::size_t>(size));
}

std::string path_of(archive_entry* member) {
  std::string_view path = ::archive_entry_pathname(member);
  while (path.starts_with("./")) path.remove_prefix(2);
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

Result<TarWriter> TarWriter::create() {
  TarWriter made;
  made.writer_.reset(::archive_write_new());
  auto* writer = made.writer_.get();
  if (writer == nullptr) return fail_system("write", "a tar archive", ENOMEM);
  // Not pax: sqfstar (4.5.1) takes the '/' off a symlink's target that stands in a pax record,
  // where libarchive puts every name outside of ASCII. No buffer is between the writer and `out_`.
  if (::archive_write_set_format_gnutar(writer) != ARCHIVE_OK ||
      ::archive_write_set_bytes_per_block(writer, 0) != ARCHIVE_OK ||
      ::archive_write_open(writer, made.out_.get(), nullptr, append, nullptr) != ARCHIVE_OK)
    return made.failed("its head");
  return made;
}

std::unexpected<Error> TarWriter::failed(const std::string& path) const {
  return fail("add to the rootfs", path, text_of(writer_.get()), "", ErrorKind::kInvalid);
}

Result<> TarWriter::add(archive_entry* member) {
  if (::archive_write_header(writer_.get(), member) == ARCHIVE_OK) return {};
  return failed(::archive_entry_pathname(member));
}

Result<> TarWriter::add_body(std::string_view piece) {
  auto written = ::archive_write_data(writer_.get(), piece.data(), piece.size());
  if (written == static_cast<la_ssize_t>(piece.size())) return {};
  return fail("add to the rootfs", "a file",
              written < 0 ? text_of(writer_.get()) : "its content is longer than it should be");
}

Result<> TarWriter::add(const std::string& path, unsigned type, std::uint32_t mode,
                        std::string_view content, const std::string& target) {
  std::unique_ptr<archive_entry, FreeEntry> member(::archive_entry_new());
  if (!member) return fail_system("add to the rootfs", path, ENOMEM);
  ::archive_entry_copy_pathname(member.get(), path.c_str());
  ::archive_entry_set_filetype(member.get(), type);
  ::archive_entry_set_perm(member.get(), mode);
  ::archive_entry_set_uid(member.get(), 0);
  ::archive_entry_set_gid(member.get(), 0);
  ::archive_entry_set_mtime(member.get(), 0, 0);
  ::archive_entry_set_size(member.get(), static_cast<la_int64_t>(content.size()));
  if (type == AE_IFLNK) ::archive_entry_copy_symlink(member.get(), target.c_str());
  if (auto added = add(member.get()); !added) return added;
  return content.empty() ? Result<>() : add_body(content);
}

Result<> TarWriter::add_directory(const std::string& path, std::uint32_t mode) {
  return add(path, AE_IFDIR, mode, {}, {});
}

Result<> TarWriter::add_file(const std::string& path, std::string_view content,
                             std::uint32_t mode) {
  return add(path, AE_IFREG, mode, content, {});
}

Result<> TarWriter::add_symlink(const std::string& path, const std::string& target) {
  return add(path, AE_IFLNK, 0777, {}, target);
}

Result<> TarWriter::finish() {
  if (::archive_write_close(writer_.get()) == ARCHIVE_OK) return {};
  return failed("the end of the archive");
}

std::string TarWriter::take() {
  return std::exchange(*out_, {});
}

}  // namespace capsem::assets
