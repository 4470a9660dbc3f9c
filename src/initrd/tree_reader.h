// Reads an image into the tree that Linux makes of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "initrd/image.h"
#include "initrd/tree.h"

namespace capsem::initrd {

class TreeReader {
 public:
  // What one image may come to in names: each takes memory here as in Linux, and a small compressed
  // image can hold a great many.
  static constexpr std::size_t kMaxFiles = 1 << 22;

  // How a regular file's body is taken.
  enum class Bodies {
    kSkip,  // passed over, where there is no checksum to compare
    kHash,  // hashed
  };

  // Both have to outlive it.
  TreeReader(ImageReader& image, Tree& tree, Bodies bodies);

  // Called with a segment that was read to its end.
  void on_segment(std::function<void(const Segment&, bool has_trailer)> callback) {
    ended_ = std::move(callback);
  }

  // The next record, not yet added to the tree; nothing at the image's end. Errors as
  // ImageReader::next(), and kInvalid for an image of more than kMaxFiles files.
  Result<const cpio::Record*> next();

  // Reads the last record's body and adds it to the tree. With `head`, the body's first
  // `head_bytes` go there. Returns as Tree::add(); errors as ImageReader::body().
  Result<std::optional<Tree::FileId>> add(std::string* head = nullptr, std::size_t head_bytes = 0);

 private:
  Result<Body> read_body(std::string* head, std::size_t head_bytes);

  ImageReader& image_;
  Tree& tree_;
  Bodies bodies_;
  const cpio::Record* record_ = nullptr;
  std::uint32_t archive_ = 0;  // of the last record, in its segment
  std::function<void(const Segment&, bool)> ended_;
};

}  // namespace capsem::initrd
