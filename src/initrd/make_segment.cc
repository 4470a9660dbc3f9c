#include "initrd/make_segment.h"

#include <sys/stat.h>

#include <cerrno>

#include "base/file.h"

namespace capsem::initrd {
namespace {

// A segment up to this size is put together in memory, so that its files are read once.
constexpr std::uint64_t kMemoryBytes = 4 << 20;

// A compressed segment up to this size stays in memory until its turn comes.
constexpr std::size_t kOutputBytes = 8 << 20;

// Takes what an encoder gives: in memory as long as it is little, then in an unnamed file.
class Output {
 public:
  Output(const std::filesystem::path& directory, bool hash) : directory_(directory), hash_(hash) {}

  Sink sink() {
    return [this](std::span<const std::byte> piece) { return take(piece); };
  }

  Result<> finish(MadeSegment& segment) {
    if (hash_) segment.sha256 = digest_.finish();
    segment.memory = std::move(memory_);
    segment.file.file = std::move(file_);
    segment.file.bytes = file_bytes_;
    return {};
  }

 private:
  Result<> take(std::span<const std::byte> piece) {
    if (hash_) digest_.update(piece);
    if (!file_ && memory_.size() + piece.size() <= kOutputBytes) {
      memory_.insert(memory_.end(), piece.begin(), piece.end());
      return {};
    }
    if (!file_) {
      auto file = unnamed_file(directory_);
      if (!file) return propagate(file);
      file_ = std::move(*file);
      if (auto written = write(memory_); !written) return written;
      memory_ = {};
    }
    return write(piece);
  }

  Result<> write(std::span<const std::byte> piece) {
    file_bytes_ += piece.size();
    return write_full(file_, piece, "a temporary file in " + directory_.string());
  }

  const std::filesystem::path& directory_;
  bool hash_;
  Sha256 digest_;
  std::vector<std::byte> memory_;
  Fd file_;
  std::uint64_t file_bytes_ = 0;
};

Result<MadeSegment> borrowed(const Fd& fd, bool hash) {
  constexpr const char* kName = "the module segment";
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_system("read", kName, errno);
  MadeSegment made;
  made.borrowed = &fd;
  made.file.bytes = static_cast<std::uint64_t>(status.st_size);
  if (!hash) return made;
  auto digest = sha256(fd, kName);
  if (!digest) return propagate(digest);
  made.sha256 = *digest;
  return made;
}

class Maker {
 public:
  Maker(PlannedSegment& segment, const MakeOptions& options, bool hash)
      : segment_(segment),
        options_(options),
        codec_(segment.codec.value_or(options.codec)),
        level_(codec_ == options.codec ? options.level : codec::default_level(codec_)),
        bytes_(archive_bytes(segment.nodes)),
        output_(options.spool_directory, hash || options.cache != nullptr) {}

  Result<MadeSegment> run() {
    if (take_cached()) return std::move(made_);
    const bool small = bytes_ <= kMemoryBytes;
    std::vector<std::byte> archive;
    if (small) {
      archive.reserve(static_cast<std::size_t>(bytes_));
      cpio::Writer writer(append_to(archive), checksums());
      if (auto written = write_archive(writer); !written) return propagate(written);
    } else if (options_.cache != nullptr) {
      if (auto hashed = hash_nodes(); !hashed) return propagate(hashed);
    }
    // Only now that its files were read is the segment's key known.
    if (!made_.key && take_cached()) return std::move(made_);
    auto encoder = codec::encode(codec_, level_, bytes_, output_.sink());
    if (!encoder) return propagate(encoder);
    auto to_encoder = [&](std::span<const std::byte> piece) { return (*encoder)->write(piece); };
    cpio::Writer writer(to_encoder, checksums());
    auto written = small ? to_encoder(archive) : write_archive(writer);
    if (written) written = (*encoder)->finish();
    if (written) written = output_.finish(made_);
    if (!written) return propagate(written);
    made_.compressed = true;
    return std::move(made_);
  }

 private:
  bool take_cached() {
    if (options_.cache == nullptr) return false;
    made_.key = segment_key(segment_, options_);
    if (!made_.key) return false;
    auto known = options_.record->segments.find(*made_.key);
    auto found = options_.cache->find(
        *made_.key, known == options_.record->segments.end() ? nullptr : &known->second);
    if (!found) return false;
    made_.sha256 = found->sha256;
    made_.cached = found->identity;
    made_.file = std::move(*found);
    return true;
  }

  cpio::Checksums checksums() const {
    return options_.archive.checksum ? cpio::Checksums::kSums : cpio::Checksums::kNone;
  }

  Result<> write_archive(cpio::Writer& writer) {
    auto written = write_nodes(segment_.nodes, options_.archive, writer);
    return written ? writer.finish() : written;
  }

  Result<> hash_nodes() {
    for (auto& node : segment_.nodes) {
      if (node.type() != cpio::kRegular || node.sha256) continue;
      auto digest = hash_content(node);
      if (!digest) return propagate(digest);
      node.sha256 = *digest;
    }
    return {};
  }

  PlannedSegment& segment_;
  const MakeOptions& options_;
  codec::Codec codec_;
  int level_;
  std::uint64_t bytes_;
  Output output_;
  MadeSegment made_;
};

}  // namespace

std::optional<Digest> segment_key(const PlannedSegment& segment, const MakeOptions& options) {
  auto codec = segment.codec.value_or(options.codec);
  std::string text = "capsem segment 3\n";
  text += codec::library_version(codec);
  text += ' ';
  auto add = [&](std::uint64_t number) { text += std::to_string(number) += ' '; };
  text += codec::name(codec);
  add(static_cast<std::uint64_t>(codec == options.codec ? options.level : 0));
  add(options.archive.checksum ? 1 : 0);
  for (const auto& node : segment.nodes) {
    const auto& metadata = node.metadata;
    for (std::uint64_t field :
         {std::uint64_t{metadata.mode}, std::uint64_t{metadata.uid}, std::uint64_t{metadata.gid},
          std::uint64_t{options.archive.keep_mtime ? metadata.mtime : options.archive.mtime},
          std::uint64_t{metadata.rdevice_major}, std::uint64_t{metadata.rdevice_minor},
          node.body_bytes, std::uint64_t{node.paths.size()}})
      add(field);
    for (const auto& path : node.paths) (text += path) += '\0';
    if (node.type() == cpio::kRegular) {
      if (!node.sha256) return std::nullopt;
      text += as_text(node.sha256->bytes);
    } else {
      text += node.content.bytes;
    }
  }
  return sha256(as_bytes(text));
}

Result<MadeSegment> make_segment(PlannedSegment& segment, const MakeOptions& options, bool hash) {
  if (segment.copied != nullptr) return borrowed(*segment.copied, hash);
  auto made = Maker(segment, options, hash).run();
  if (!made) return propagate(made, "pack", segment.name);
  return made;
}

}  // namespace capsem::initrd
