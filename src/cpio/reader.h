// Reads newc archives as Linux does (init/initramfs.c): records one after the other, with zero
// bytes allowed between them, each archive ended by a trailer or simply by the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"
#include "cpio/newc.h"

namespace capsem::cpio {

// What Linux passes over in silence, or takes in a way that its author may not have meant.
enum Oddity : std::uint32_t {
  kBadNumber = 1 << 0,       // a header field is no number: Linux takes the digits before
  kNameLength = 1 << 1,      // an empty name or one over PATH_MAX: Linux skips the record
  kNameCutByNul = 1 << 3,    // a NUL before its end: Linux takes what is before it
  kSymlinkTooLong = 1 << 4,  // a target over PATH_MAX: Linux skips the record
  kBodyIgnored = 1 << 5,     // a directory, device, fifo or socket with a body: Linux skips it
  kUnknownType = 1 << 6,     // a file type that does not exist: Linux makes nothing
  kZerosBefore = 1 << 7,     // between two records of one archive
};

struct Record {
  Header header;
  std::string path;  // as stored, without its NUL; empty when the record is skipped for its name
  std::uint64_t body_bytes = 0;
  std::optional<std::uint32_t> checksum;  // of 070702: the sum of the body's bytes
  std::uint32_t oddities = 0;             // of enum Oddity
  std::uint32_t archive = 0;              // counts the trailers before it
};

// Takes the zero bytes that `input` stands at; returns how many there were.
Result<std::uint64_t> skip_zeros(Input& input);

enum class AtTrailer { kGoOn, kStop };

class Reader {
 public:
  // `archives` stands at the first record; it has to outlive the reader.
  explicit Reader(Input& archives, AtTrailer at_trailer = AtTrailer::kGoOn)
      : input_(archives), start_(archives.position()), at_trailer_(at_trailer) {}

  // The next record, whatever is left of the last one's body passed over; nothing where no further
  // record begins: at the end, before a byte that is neither zero nor the start of a record, and
  // behind a trailer when the reader is to stop there.
  // kDamaged, with the offset, where Linux would stop: bad magic, a record that does not begin at a
  // multiple of four, a name without a NUL at its end, a header, name or body that reaches beyond
  // the end.
  // Valid until the next call.
  Result<const Record*> next();

  // The next piece of the last record's body; empty at its end. kDamaged when the body reaches
  // beyond the end or, at the end of a regular file's, when it does not match its checksum. Valid
  // until the next call.
  Result<std::span<const std::byte>> body();

  // The whole body; kInvalid when it is larger than `limit_bytes`.
  Result<std::string> read_body(std::uint64_t limit_bytes);

  // Where the last record's header begins, and how many trailers there were, counted from where
  // the reader began.
  std::uint64_t record_offset() const { return record_offset_; }
  std::uint32_t trailers() const { return record_.archive; }

 private:
  Result<bool> find_header();
  Result<bool> read_header();
  Result<> read_name(std::size_t name_bytes);
  Result<> finish_record();
  std::unexpected<Error> damaged(std::string reason) const;
  std::uint64_t offset() const { return input_.position() - start_; }

  Input& input_;
  std::uint64_t start_;
  AtTrailer at_trailer_;
  Record record_;
  std::uint64_t record_offset_ = 0;
  std::uint64_t body_left_ = 0;
  std::size_t body_padding_ = 0;
  std::size_t shown_ = 0;  // of the body, by the last body()
  std::uint32_t sum_ = 0;
  bool at_archive_end_ = true;
};

}  // namespace capsem::cpio
