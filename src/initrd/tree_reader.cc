#include "initrd/tree_reader.h"

#include <algorithm>

#include "base/fd.h"

namespace capsem::initrd {

TreeReader::TreeReader(ImageReader& image, Tree& tree, Bodies bodies)
    : image_(image), tree_(tree), bodies_(bodies) {
  image_.on_segment([this](const Segment& segment) {
    const bool has_trailer = segment.trailers > archive_;
    if (has_trailer) tree_.end_archive();
    archive_ = 0;
    if (ended_) ended_(segment, has_trailer);
  });
}

Result<const cpio::Record*> TreeReader::next() {
  auto record = image_.next();
  if (!record) return record;
  record_ = *record;
  // Linux keeps the hard links of an archive without a trailer for the next one, and drops them at
  // the end.
  if (record_ == nullptr || record_->archive != archive_) tree_.end_archive();
  if (record_ == nullptr) return record;
  archive_ = record_->archive;
  if (tree_.size() > kMaxFiles)
    return fail("read", "the image", "it holds more than " + std::to_string(kMaxFiles) + " files",
                "", ErrorKind::kInvalid);
  return record;
}

Result<Body> TreeReader::read_body(std::string* head, std::size_t head_bytes) {
  Body body;
  const auto type = record_->header.type();
  if (type == cpio::kSymlink && (record_->oddities & cpio::kSymlinkTooLong) == 0) {
    auto target = image_.read_body(cpio::kMaxNameBytes);
    if (!target) return propagate(target);
    body.target = std::move(*target);
    return body;
  }
  const bool hashed = bodies_ == Bodies::kHash;
  if (type != cpio::kRegular || (!hashed && head == nullptr && !record_->checksum)) return body;
  Sha256 sum;
  for (;;) {
    auto piece = image_.body();
    if (!piece) return propagate(piece);
    if (piece->empty()) break;
    if (hashed) sum.update(*piece);
    if (head != nullptr && head->size() < head_bytes)
      *head += as_text(*piece).substr(0, head_bytes - head->size());
    // The rest is passed over, as the whole would be.
    if (!hashed && !record_->checksum && head->size() >= head_bytes) break;
  }
  if (hashed) body.sha256 = sum.finish();
  return body;
}

Result<std::optional<Tree::FileId>> TreeReader::add(std::string* head, std::size_t head_bytes) {
  auto body = read_body(head, head_bytes);
  if (!body) return propagate(body);
  return tree_.add(*record_, *body);
}

}  // namespace capsem::initrd
