#include "initrd/pack.h"

#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "initrd/assemble.h"
#include "initrd/boot_config.h"
#include "initrd/image_parts.h"
#include "initrd/make_segment.h"
#include "initrd/plan.h"
#include "initrd/plan_check.h"

namespace capsem::initrd {
namespace {

namespace fs = std::filesystem;

// How much is read anew in the hope that nothing changed after all.
constexpr std::uint64_t kTouchedBytes = 16 << 20;

// A smaller image is hashed by the next run in less time than it takes to wait for the clock's
// tick.
constexpr std::uint64_t kHashedBytes = 8 << 20;

// How much is kept of segments whose turn has not come.
constexpr std::uint64_t kWaitingBytes = 32 << 20;

class Packer {
 public:
  Packer(const PackOptions& options, PackRecord record, bool guest)
      : options_(options),
        guest_(guest),
        record_(std::move(record)),
        cache_(options.cache / kSegmentsDirectory, options.cache_limit_bytes) {
    auto& index = result_.index;
    index.codec = options.codec;
    index.level = options.level.value_or(codec::default_level(options.codec));
    make_ = {.codec = index.codec,
             .level = index.level,
             .archive = {.mtime = options.mtime,
                         .keep_mtime = options.keep_mtime,
                         .checksum = options.checksum,
                         .hash = !options.cache.empty()},
             .cache = options.cache.empty() ? nullptr : &cache_,
             .record = &record_,
             .spool_directory = spool_directory(options)};
  }

  // Where the record of a target is kept; empty when there is none.
  static fs::path record_path(const PackOptions& options) {
    if (options.cache.empty() || options.stream != nullptr) return {};
    std::error_code error;
    auto target = fs::absolute(options.target, error).lexically_normal();
    if (error) return {};
    return options.cache / kRecordsDirectory / sha256(as_bytes(target.native())).hex();
  }

  static fs::path spool_directory(const PackOptions& options) {
    if (options.stream != nullptr) return {};  // where temporary files go
    auto parent = options.target.parent_path();
    return parent.empty() ? "." : parent;
  }

  Result<PackResult> run(Plan plan) {
    if (auto valid = codec::check_level(make_.codec, make_.level); !valid) return propagate(valid);
    plan_ = std::move(plan);
    result_.index.entries = plan_.entries;
    result_.why_no_init = why_no_init(plan_);
    if (auto hashed = hash_nodes(); !hashed) return propagate(hashed);
    if (is_current()) {
      if (learned_) save_record(record_);
      return std::move(result_);
    }
    if (auto packed = pack(); !packed) return propagate(packed);
    result_.written = true;
    return std::move(result_);
  }

 private:
  // The hashes that are known, and where there is an earlier image, those of the few files that
  // look different: they may have been touched and nothing else.
  Result<> hash_nodes() {
    std::uint64_t unknown_bytes = 0;
    for_each_file([&](Node& node) {
      if (!node.sha256) node.sha256 = record_.find_file(node.content);
      if (!node.sha256) unknown_bytes += node.body_bytes;
    });
    if (make_.cache == nullptr || record_.inputs == Digest() || unknown_bytes > kTouchedBytes)
      return {};
    Result<> result;
    for_each_file([&](Node& node) {
      if (node.sha256 || !result) return;
      auto digest = hash_content(node);
      if (digest) {
        node.sha256 = *digest;
        learned_ = true;
      } else {
        result = propagate(digest);
      }
    });
    return result;
  }

  template <class Function>
  void for_each_file(Function function) {
    for (auto& segment : plan_.segments)
      for (auto& node : segment.nodes)
        if (node.type() == cpio::kRegular) function(node);
  }

  // All that the image depends on; nothing while something of it is not known.
  std::optional<Digest> inputs() const {
    Sha256 hash;
    hash.update(as_bytes(plan_.boot_config));
    for (const auto& segment : plan_.segments) {
      if (segment.copied != nullptr) {
        auto identity = identity_of(*segment.copied, segment.name);
        if (!identity) return std::nullopt;
        hash.update(std::as_bytes(std::span(&*identity, 1)));
        continue;
      }
      auto key = segment_key(segment, make_);
      if (!key) return std::nullopt;
      hash.update(key->bytes);
    }
    return hash.finish();
  }

  // Whether the image in place was made from the same, and is still as it was written.
  bool is_current() {
    if (make_.cache == nullptr || options_.stream != nullptr) return false;
    auto now = inputs();
    if (!now || *now != record_.inputs) return false;
    auto fd = open_file(options_.target, O_RDONLY);
    if (!fd) return false;
    auto identity = identity_of(*fd, options_.target);
    if (!identity || identity->size_bytes != record_.image.size_bytes) return false;
    if (guest_ && !read_index()) return false;
    // A further link to the image moves its time of change, a copy in its place all of them.
    if (!record_.image_settled || *identity != record_.image) {
      auto whole = holds_parts(*fd, record_.image_parts, options_.target);
      if (!whole || !*whole) return false;
      record_.image = *identity;
      record_.image_settled = is_settled(*identity, listed_ns_);
      learned_ = true;
    }
    result_.image = std::move(*fd);
    result_.index.image_bytes = identity->size_bytes;
    return true;
  }

  bool read_index() {
    auto text = read_file(index_path(options_.target), kIndexLimitBytes);
    if (!text) return false;
    auto index = decode_index(*text, index_path(options_.target));
    if (!index || index->entries != plan_.entries || index->codec != make_.codec ||
        index->level != make_.level || index->image_bytes != record_.image.size_bytes)
      return false;
    result_.index = std::move(*index);
    return true;
  }

  Result<> pack() {
    auto target = ImageTarget::create(options_.target, options_.stream, guest_);
    if (!target) return propagate(target);
    for (const auto& segment : plan_.segments) total_bytes_ += archive_bytes(segment.nodes);
    if (auto made = make_all(*target); !made) return made;
    result_.index.segments = target->segments();
    for (const auto& segment : target->segments())
      image_parts_.push_back({segment.offset, segment.bytes, segment.sha256});
    if (!plan_.boot_config.empty())
      if (auto added = add_boot_config(*target); !added) return added;
    result_.index.image_bytes = target->bytes();
    result_.index.image_sha256 = target->sha256();
    // All that can fail comes before the image is replaced. A process that ends between the two
    // leaves no record of this image, so that the next one packs both again.
    std::optional<AtomicFile> index;
    if (guest_ && options_.stream == nullptr) {
      auto created = AtomicFile::create(index_path(options_.target));
      if (!created) return propagate(created);
      index.emplace(std::move(*created));
      if (auto written = index->write(as_bytes(encode_index(result_.index))); !written)
        return written;
    }
    auto image = target->commit();
    if (!image) return propagate(image);
    result_.image = std::move(*image);
    // What a power failure leaves of it is compared with the image before it is used.
    if (index)
      if (auto committed = index->commit(Sync::kNothing); !committed) return committed;
    remember();
    return {};
  }

  Result<> add_boot_config(ImageTarget& target) {
    auto text = encode_boot_config(plan_.boot_config, target.bytes());
    image_parts_.push_back({target.bytes(), text.size(), sha256(as_bytes(text))});
    return target.append(as_bytes(text));
  }

  // Segments are made by all threads, each taking the next in order, and go into the image in
  // order. One that is made before its turn waits in memory, as long as that is not too much.
  Result<> make_all(ImageTarget& target) {
    auto count = std::min<std::size_t>(options_.threads != 0
                                           ? options_.threads
                                           : std::max(1U, std::thread::hardware_concurrency()),
                                       plan_.segments.size());
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 1; i < count; ++i)
        threads.emplace_back([this, &target] { make_some(target); });
      make_some(target);
    }
    if (failure_) return std::unexpected<Error>(std::move(*failure_));
    return {};
  }

  void make_some(ImageTarget& target) {
    std::unique_lock lock(mutex_);
    for (;;) {
      // Whichever segment's turn it is, one of the threads is at it.
      changed_.wait(lock, [&] { return failure_ || waiting_bytes_ <= kWaitingBytes; });
      const std::size_t number = next_;
      if (failure_ || number == plan_.segments.size()) return;
      ++next_;
      lock.unlock();
      auto made = make_segment(plan_.segments[number], make_, guest_);
      lock.lock();
      if (!made) return give_up(made);
      auto segment = std::make_shared<const MadeSegment>(std::move(*made));
      waiting_bytes_ += segment->memory.size();
      waiting_.emplace(number, segment);
      if (!writing_) write_waiting(target, lock);
      if (segment->compressed) {
        lock.unlock();
        store(*segment);
        lock.lock();
      }
    }
  }

  // One thread at a time writes what can be written, while the others go on.
  void write_waiting(ImageTarget& target, std::unique_lock<std::mutex>& lock) {
    writing_ = true;
    while (!failure_ && !waiting_.empty() && waiting_.begin()->first == turn_) {
      auto segment = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      const auto& planned = plan_.segments[turn_++];
      lock.unlock();
      auto added = target.add(planned.name, *segment);
      lock.lock();
      if (!added) give_up(added);
      waiting_bytes_ -= segment->memory.size();
      if (segment->compressed) ++result_.compressed_segments;
      if (segment->key && segment->cached)
        segments_[*segment->key] = {*segment->cached, segment->sha256};
      done_bytes_ += archive_bytes(planned.nodes);
      if (options_.progress) options_.progress(done_bytes_, total_bytes_);
      changed_.notify_all();
    }
    writing_ = false;
  }

  template <class T>
  void give_up(Result<T>& failed) {
    if (!failure_) failure_ = std::move(failed).error();
    changed_.notify_all();
  }

  void store(const MadeSegment& made) {
    if (make_.cache == nullptr) return;
    auto stored = made.memory.empty()
                      ? cache_.store(*made.key, made.sha256, made.file.file, made.file.bytes)
                      : cache_.store(*made.key, made.sha256, made.memory);
    std::scoped_lock lock(mutex_);
    if (stored) {
      segments_[*made.key] = {*stored, made.sha256};
      stored_bytes_ += stored->size_bytes;
    } else if (!std::exchange(warned_, true)) {
      warn(stored.error().message());
    }
  }

  void remember() {
    if (make_.cache == nullptr) return;
    cache_.evict(stored_bytes_);
    auto now = inputs();
    auto image = identity_of(result_.image, options_.target);
    if (options_.stream != nullptr || !now || !image) return;
    PackRecord record;
    record.inputs = *now;
    record.image = *image;
    record.image_settled = image->size_bytes > kHashedBytes && wait_until_change_shows(*image);
    record.image_parts = std::move(image_parts_);
    const auto clock_ns = file_clock_ns();
    std::erase_if(segments_, [&](const auto& item) {
      return !would_show_change(item.second.identity, clock_ns);
    });
    record.segments = std::move(segments_);
    save_record(std::move(record));
  }

  void save_record(PackRecord record) {
    record.forget_files();
    for_each_file([&](const Node& node) { record.add_file(node, listed_ns_); });
    for (const auto& node : plan_.joined) record.add_file(node, listed_ns_);
    auto path = record_path(options_);
    if (path.empty()) return;
    auto saved = record.save(path);
    if (!saved && !std::exchange(warned_, true)) warn(saved.error().message());
  }

  const PackOptions& options_;
  bool guest_;
  std::int64_t listed_ns_ = file_clock_ns();
  PackRecord record_;  // of the run before
  SegmentCache cache_;
  MakeOptions make_;
  Plan plan_;
  PackResult result_;

  std::mutex mutex_;  // for what follows
  std::condition_variable changed_;
  std::size_t next_ = 0;  // to be made
  std::size_t turn_ = 0;  // to be written
  std::map<std::size_t, std::shared_ptr<const MadeSegment>> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  bool writing_ = false;
  std::optional<Error> failure_;
  std::map<Digest, KnownFile> segments_;
  std::vector<ImagePart> image_parts_;
  std::uint64_t stored_bytes_ = 0;
  std::uint64_t done_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
  bool warned_ = false;
  bool learned_ = false;  // something that the record does not know
};

}  // namespace

namespace {

Result<Fd> lock_target(const PackOptions& options) {
  if (options.stream != nullptr) return Fd();
  if (auto made = make_directories(options.target.parent_path()); !made) return propagate(made);
  return lock_file(options.target.string() + ".lock", LockMode::kExclusive);
}

std::string name_of_target(const PackOptions& options) {
  return options.stream != nullptr ? "a stream" : options.target.string();
}

}  // namespace

Result<PackResult> pack_nodes(ImageNodes nodes, const PackOptions& options) {
  auto record = PackRecord::load(Packer::record_path(options));
  auto plan = plan_nodes(std::move(nodes), options.codec);
  auto result = Packer(options, std::move(record), false).run(std::move(plan));
  if (!result) return propagate(result, "pack", name_of_target(options));
  return result;
}

Result<PackResult> pack_guest(const manifest::Manifest& manifest, const manifest::SourceTree& tree,
                              const Fd* modules, const PackOptions& options) {
  auto packed = [&]() -> Result<PackResult> {
    auto lock = lock_target(options);
    if (!lock) return propagate(lock);
    auto record = PackRecord::load(Packer::record_path(options));
    auto plan = plan_guest(manifest, tree, modules, record);
    if (!plan) return propagate(plan);
    return Packer(options, std::move(record), true).run(std::move(*plan));
  }();
  if (!packed) return propagate(packed, "pack", name_of_target(options));
  return packed;
}

Result<OpenedImage> open_image(const fs::path& image) {
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
