// An Input that hashes what passes through it: the whole, and ranges of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/sha256.h"
#include "base/stream.h"

namespace capsem::initrd {

class HashingInput : public Input {
 public:
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };

  // `from` stands at its first byte and has to outlive it. `ranges` are in order and apart from
  // one another; of those that are not, and of what reaches beyond the end, there is no digest.
  HashingInput(Input& from, std::vector<Range> ranges) : from_(from), ranges_(std::move(ranges)) {}

  Result<std::span<const std::byte>> peek(std::size_t wanted) override {
    auto ready = from_.peek(wanted);
    if (ready) shown_ = *ready;
    return ready;
  }

  // Of all that was taken; ends the hashing.
  Digest whole() { return whole_.finish(); }
  // Of the ranges from the first on, as far as they were taken to their end.
  const std::vector<Digest>& digests() const { return digests_; }

 private:
  void drop(std::size_t count) override {
    auto piece = shown_.first(count);
    whole_.update(piece);
    hash_ranges(position() - count, piece);
    shown_ = shown_.subspan(count);
    from_.take(count);
  }

  void hash_ranges(std::uint64_t offset, std::span<const std::byte> piece) {
    while (digests_.size() < ranges_.size()) {
      const Range& range = ranges_[digests_.size()];
      const std::uint64_t from = range.offset + done_;
      if (from < offset || from - offset > piece.size()) return;
      auto part = piece.subspan(static_cast<std::size_t>(from - offset));
      part = part.first(
          static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), range.bytes - done_)));
      if (!hash_) hash_ = std::make_unique<Sha256>();
      hash_->update(part);
      done_ += part.size();
      if (done_ < range.bytes) return;
      digests_.push_back(hash_->finish());
      hash_.reset();
      done_ = 0;
    }
  }

  Input& from_;
  std::vector<Range> ranges_;
  std::span<const std::byte> shown_;
  Sha256 whole_;
  std::unique_ptr<Sha256> hash_;  // of the range after those in digests_
  std::uint64_t done_ = 0;        // of that range
  std::vector<Digest> digests_;
};

}  // namespace capsem::initrd
