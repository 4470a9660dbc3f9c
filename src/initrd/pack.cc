#include "initrd/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "cpio/newc.h"
#include "initrd/plan.h"
#include "initrd/segment_cache.h"

namespace capsem::initrd {
namespace {

constexpr std::uint64_t kIndexLimitBytes = 64 << 20;

// What a compressed segment depends on, and nothing else.
Digest cache_key(const PlannedSegment& segment, const Index& index, std::uint32_t mtime) {
  Sha256 hash;
  auto add = [&](const std::string& text) { hash.update(as_bytes(text + '\n')); };
  add("capsem segment 1");
  add(std::string(codec::name(index.codec)) + " " + std::to_string(index.level));
  add(std::to_string(mtime));
  for (const auto& file : segment.files) {
    for (const auto& path : file.paths) add("path " + path);
    add((file.directory ? "directory " : "file ") + std::to_string(file.mode));
    add(file.sha256.hex());
  }
  return hash.finish();
}

Result<std::vector<std::byte>> read_segment(const Fd& fd) {
  constexpr const char* kName = "the module segment";
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_system("read", kName, errno);
  std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_system("read", kName, errno);
  auto n = read_full(fd, bytes, kName);
  if (!n) return propagate(n);
  if (*n != bytes.size()) return fail("read", kName, "it became shorter meanwhile");
  return bytes;
}

class Packer {
 public:
  Packer(const Plan& plan, const PackOptions& options)
      : plan_(plan), options_(options), cache_(options.cache) {
    result_.index.codec = options.codec;
    result_.index.level = options.level.value_or(codec::default_level(options.codec));
    result_.index.entries = plan.entries;
  }

  Result<PackResult> run() {
    if (auto added = add_segments(); !added) return propagate(added);
    result_.index.image_bytes = image_.size();
    result_.index.image_sha256 = sha256(image_);
    if (auto made = make_directories(options_.target.parent_path()); !made) return propagate(made);
    auto lock = lock_file(options_.target.string() + ".lock", LockMode::kExclusive);
    if (!lock) return propagate(lock);
    if (auto current = reuse_current(); current) return std::move(result_);
    if (auto written = write(); !written) return propagate(written);
    return std::move(result_);
  }

 private:
  Result<> add_segments() {
    if (options_.modules_segment != nullptr) {
      auto modules = read_segment(*options_.modules_segment);
      if (!modules) return propagate(modules);
      append("modules", *modules);
      for (auto& entry : result_.index.entries) ++entry.segment;
    }
    for (const auto& segment : plan_.segments) {
      auto bytes = compressed(segment);
      if (!bytes) return propagate(bytes);
      append(segment.name, *bytes);
    }
    return {};
  }

  Result<std::vector<std::byte>> compressed(const PlannedSegment& segment) {
    auto key = cache_key(segment, result_.index, options_.mtime);
    if (auto cached = cache_.find(key)) return std::move(*cached);
    auto plain = archive(segment, options_.mtime);
    if (!plain) return propagate(plain);
    auto bytes = codec::compress(result_.index.codec, result_.index.level, *plain);
    if (!bytes) return propagate(bytes);
    ++result_.compressed_segments;
    auto stored = cache_.store(key, *bytes);
    if (!stored && !std::exchange(warned_, true)) warn(stored.error().message());
    return bytes;
  }

  void append(const std::string& name, std::span<const std::byte> bytes) {
    // Linux looks for the next segment's magic at a multiple of four, and takes an lz4 stream to
    // go on until a zero length (lib/decompress_unlz4.c).
    std::size_t gap = cpio::padding_to_4(image_.size());
    if (last_is_lz4_) gap += sizeof(std::uint32_t);
    last_is_lz4_ = codec::detect(bytes) == codec::Codec::kLz4;
    image_.resize(image_.size() + gap);
    result_.index.segments.push_back(
        {.name = name, .offset = image_.size(), .bytes = bytes.size(), .sha256 = sha256(bytes)});
    image_.insert(image_.end(), bytes.begin(), bytes.end());
  }

  // Whether the image in place is this one already, checked by its bytes.
  bool reuse_current() {
    auto text = read_file(index_path(options_.target), kIndexLimitBytes);
    if (!text || *text != encode_index(result_.index)) return false;
    auto fd = open_file(options_.target, O_RDONLY);
    if (!fd) return false;
    auto hash = sha256(*fd, options_.target);
    if (!hash || *hash != result_.index.image_sha256) return false;
    result_.image = std::move(*fd);
    return true;
  }

  Result<> write() {
    auto file = AtomicFile::create(options_.target);
    if (!file) return propagate(file);
    if (auto written = file->write(image_); !written) return written;
    if (auto committed = file->commit(); !committed) return committed;
    result_.image = file->take_fd();
    result_.written = true;
    return write_file_atomically(index_path(options_.target), encode_index(result_.index));
  }

  const Plan& plan_;
  const PackOptions& options_;
  SegmentCache cache_;
  PackResult result_;
  std::vector<std::byte> image_;
  bool last_is_lz4_ = false;
  bool warned_ = false;
};

}  // namespace

Result<PackResult> pack(const manifest::Manifest& manifest, const manifest::SourceTree& tree,
                        const PackOptions& options) {
  auto plan = make_plan(manifest, tree);
  if (!plan) return propagate(plan);
  auto result = Packer(*plan, options).run();
  if (!result) return propagate(result, "pack", options.target);
  return result;
}

Result<OpenedImage> open_image(const std::filesystem::path& image) {
  auto text = read_file(index_path(image), kIndexLimitBytes);
  if (!text) return propagate(text);
  auto index = decode_index(*text, index_path(image));
  if (!index) return propagate(index);
  auto fd = open_file(image, O_RDONLY);
  if (!fd) return propagate(fd);
  auto hash = sha256(*fd, image);
  if (!hash) return propagate(hash);
  if (*hash != index->image_sha256)
    return fail("use", image, "its SHA-256 is not the one in " + index_path(image).string(),
                "repack with 'capsem initrd pack'", ErrorKind::kDamaged);
  return OpenedImage{std::move(*fd), std::move(*index)};
}

}  // namespace capsem::initrd
