#include "assets/tar_writer.h"

#include <array>
#include <optional>

#include "assets/tar_format.h"

namespace capsem::assets {
namespace {

constexpr std::size_t kMaxFileBytes = (std::size_t{1} << 33) - 1;  // eleven octal digits

// Where a long path is split into prefix and name: at a '/' that leaves both parts short enough.
std::optional<std::size_t> split_point(const std::string& path) {
  if (path.size() <= tar::kName.size) return 0;
  auto slash = path.rfind('/', tar::kPrefix.size);
  if (slash == std::string::npos || slash == 0 || path.size() - slash - 1 > tar::kName.size ||
      slash + 1 == path.size())
    return std::nullopt;
  return slash;
}

}  // namespace

Result<> TarWriter::add(const std::string& path, char type, std::uint32_t mode,
                        std::string_view content, const std::string& target) {
  auto split = split_point(path);
  if (!split || path.empty() || target.size() > tar::kTarget.size || content.size() > kMaxFileBytes)
    return fail("add to the rootfs", path, "its name or content is too long for a tar archive", "",
                ErrorKind::kInvalid);
  std::array<char, tar::kBlockBytes> header{};
  tar::set_text(header.data(), tar::kName,
                std::string_view(path).substr(*split == 0 ? 0 : *split + 1));
  tar::set_text(header.data(), tar::kPrefix, std::string_view(path).substr(0, *split));
  tar::set_number(header.data(), tar::kMode, mode);
  tar::set_number(header.data(), tar::kUid, 0);
  tar::set_number(header.data(), tar::kGid, 0);
  tar::set_number(header.data(), tar::kSize, content.size());
  tar::set_number(header.data(), tar::kTime, 0);
  tar::set_text(header.data(), tar::kType, {&type, 1});
  tar::set_text(header.data(), tar::kTarget, target);
  tar::set_text(header.data(), tar::kMagic, tar::kPosixMagic);
  tar::set_checksum(header.data());
  archive_.append(header.data(), header.size());
  archive_.append(content);
  archive_.resize(tar::padded(archive_.size()), '\0');
  return {};
}

Result<> TarWriter::add_directory(const std::string& path, std::uint32_t mode) {
  return add(path + "/", '5', mode, {}, {});
}

Result<> TarWriter::add_file(const std::string& path, std::string_view content,
                             std::uint32_t mode) {
  return add(path, '0', mode, content, {});
}

Result<> TarWriter::add_symlink(const std::string& path, const std::string& target) {
  return add(path, '2', 0777, {}, target);
}

std::string TarWriter::finish() {
  archive_.append(2 * tar::kBlockBytes, '\0');
  return std::move(archive_);
}

}  // namespace capsem::assets
