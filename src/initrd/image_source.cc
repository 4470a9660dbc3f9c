#include <unordered_map>

#include "base/file.h"
#include "initrd/image.h"
#include "initrd/link_key.h"
#include "initrd/record_rules.h"
#include "initrd/sources.h"

namespace capsem::initrd {
namespace {

class Spooler {
 public:
  Spooler(ImageReader& reader, std::shared_ptr<Fd> spool)
      : reader_(reader), spool_(std::move(spool)) {}

  Result<ImageNodes> run() {
    for (;;) {
      auto record = reader_.next();
      if (!record) return propagate(record);
      if (*record == nullptr) break;
      if (reader_.segment_number() != segment_) end_segment();
      codec_ = reader_.segment_codec();
      if (++records_ > ImageNodes::kMaxRecords)
        return fail("pack", "the image again",
                    "it has more than " + std::to_string(ImageNodes::kMaxRecords) + " records", "",
                    ErrorKind::kInvalid);
      if (why_skipped(**record)) {
        ++result_.skipped;
        continue;
      }
      result_.has_checksums = result_.has_checksums || (*record)->checksum;
      if (auto added = add(**record); !added) return propagate(added);
    }
    end_segment();
    std::erase_if(nodes_, [](const Node& node) { return node.paths.empty(); });
    std::erase_if(result_.early, [](const Node& node) { return node.paths.empty(); });
    result_.nodes = std::move(nodes_);
    if (const auto& config = reader_.boot_config()) result_.boot_config = config->text;
    return std::move(result_);
  }

 private:
  Result<> add(const cpio::Record& record) {
    const auto& header = record.header;
    Node node;
    node.paths.push_back(plain_path(record.path));
    if (auto checked = cpio::check_path(node.paths.front()); !checked) return checked;
    node.metadata = {.mode = header.mode & (cpio::kTypeMask | 07777),
                     .uid = header.uid,
                     .gid = header.gid,
                     .mtime = header.mtime,
                     .rdevice_major = header.rdevice_major,
                     .rdevice_minor = header.rdevice_minor};
    if (auto filled = fill(node); !filled) return filled;
    // What a path stood for before may not move behind what it stands for now.
    if (auto before = linked_.find(node.paths.front()); before != linked_.end())
      links_.erase(before->second);
    is_early_ = is_early_ || is_early(node.paths.front());
    if (header.type() == cpio::kRegular && may_be_linked(header))
      join(node, link_key(header, reader_.archive_number()));
    nodes_.push_back(std::move(node));
    return {};
  }

  Result<> fill(Node& node) {
    if (node.type() == cpio::kSymlink) {
      auto target = reader_.read_body(cpio::kMaxNameBytes);
      if (!target) return propagate(target);
      node.content.bytes = std::move(*target);
      node.body_bytes = node.content.bytes.size();
      return {};
    }
    if (node.type() != cpio::kRegular) return {};
    node.content.spool = spool_;
    node.content.offset = spooled_bytes_;
    for (;;) {
      auto piece = reader_.body();
      if (!piece) return propagate(piece);
      if (piece->empty()) return {};
      if (auto written = write_full(*spool_, *piece, "the spool file"); !written) return written;
      node.body_bytes += piece->size();
      spooled_bytes_ += piece->size();
    }
  }

  // A further name of a file: the body may come with any of them, and the file is put where its
  // last name is, by when the directories of all of them are there.
  void join(Node& node, const LinkKey& key) {
    linked_.insert_or_assign(node.paths.front(), key);
    auto [known, is_new] = links_.emplace(key, nodes_.size());
    if (is_new) return;
    auto& before = nodes_[known->second];
    std::swap(node.paths, before.paths);
    node.paths.insert(node.paths.end(), before.paths.begin(), before.paths.end());
    before.paths.clear();
    if (node.body_bytes == 0) {
      node.content = before.content;
      node.body_bytes = before.body_bytes;
    }
    known->second = nodes_.size();
  }

  // Only what comes first, and uncompressed, is looked at early.
  void end_segment() {
    if (is_early_ && codec_ == codec::Codec::kNone && !main_began_) {
      result_.early.insert(result_.early.end(), std::move_iterator(nodes_.begin()),
                           std::move_iterator(nodes_.end()));
      nodes_.clear();
      links_.clear();
    } else {
      main_began_ = true;
    }
    is_early_ = false;
    segment_ = reader_.segment_number();
  }

  ImageReader& reader_;
  std::shared_ptr<Fd> spool_;
  std::uint64_t spooled_bytes_ = 0;
  ImageNodes result_;
  std::vector<Node> nodes_;
  std::unordered_map<LinkKey, std::size_t, LinkKeyHash> links_;
  std::unordered_map<std::string, LinkKey> linked_;  // the names of those
  std::size_t records_ = 0;
  std::size_t segment_ = 0;
  codec::Codec codec_ = codec::Codec::kNone;  // of the segment that nodes_ ends with
  bool is_early_ = false;
  bool main_began_ = false;
};

}  // namespace

Result<ImageNodes> read_image(Input& image, std::uint64_t limit_bytes) {
  auto spool = unnamed_file();
  if (!spool) return propagate(spool);
  ImageReader reader(image, limit_bytes);
  return Spooler(reader, std::make_shared<Fd>(std::move(*spool))).run();
}

}  // namespace capsem::initrd
