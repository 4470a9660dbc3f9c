// Puts segments one after the other into the file or the pipe that becomes the image.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/sha256.h"
#include "initrd/index.h"
#include "initrd/make_segment.h"

namespace capsem::initrd {

class ImageTarget {
 public:
  // A file that takes the place of `target` when it is committed, or `stream`, when there is one.
  // `hash` asks for the SHA-256 of the whole.
  static Result<ImageTarget> create(const std::filesystem::path& target, const Fd* stream,
                                    bool hash);

  // Appends a segment, with the padding that Linux needs before it.
  Result<> add(const std::string& name, const MadeSegment& segment);

  // Appends what is no segment.
  Result<> append(std::span<const std::byte> bytes) { return write(bytes); }

  // What was added so far.
  const std::vector<IndexedSegment>& segments() const { return segments_; }
  std::uint64_t bytes() const { return bytes_; }

  // Of the whole, once everything was added; zero when it was not asked for.
  Digest sha256();

  // Syncs the file and puts it in place; returns it, opened. Nothing for a stream.
  Result<Fd> commit();

 private:
  ImageTarget(std::string name, std::optional<AtomicFile> file, const Fd* stream, bool hash);
  const Fd& fd() const { return file_ ? file_->fd() : *stream_; }
  Result<> write(std::span<const std::byte> bytes);
  Result<> hash_file(const MadeSegment& segment);
  void begin_writeback();

  std::string name_;
  std::optional<AtomicFile> file_;
  const Fd* stream_;
  std::unique_ptr<Sha256> hash_;
  std::vector<IndexedSegment> segments_;
  std::uint64_t bytes_ = 0;
  std::uint64_t writeback_bytes_ = 0;  // how much of it the kernel was told to write
  bool last_is_lz4_ = false;
};

}  // namespace capsem::initrd
