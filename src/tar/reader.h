// Reads a tar archive from front to back: ustar, pax and GNU's, sparse files too. Whatever the
// archive says, no more than a header's limits is held in memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "tar/header.h"
#include "tar/member.h"

namespace capsem::tar {

// Part of a file's content.
struct Piece {
  std::uint64_t offset = 0;
  std::span<const std::byte> bytes;
};

class Reader {
 public:
  // `input` has to outlive this; `name` is for messages.
  Reader(Input& input, std::string name) : input_(input), name_(std::move(name)) {}

  // The next member; nothing at the archive's end. What was not read of the last one's body is
  // passed over. kDamaged, and final, for what is no archive, or not a whole one.
  Result<std::optional<Member>> next();

  // The next part of the body of the file that next() returned, in order; empty at its end. Valid
  // until the next call.
  Result<Piece> body();

 private:
  using Records = std::map<std::string, std::string>;

  std::unexpected<Error> damaged(const std::string& detail) const;
  Result<std::span<const std::byte, kBlockBytes>> block();
  Result<std::string> text_body(std::uint64_t size, std::size_t limit);
  Result<> skip(std::uint64_t bytes);
  Result<Records> pax_header(std::uint64_t size);
  Result<Member> member_of(const Block& header, const Records& records);
  Result<> read_sparse_map(Member& member);
  Result<std::uint64_t> map_number();
  Result<> read_gnu_sparse(const Block& header, Member& member);
  Result<> add_extent(Member& member, std::int64_t offset, std::int64_t bytes);
  Result<> check_extents(const Member& member);

  Input& input_;
  std::string name_;
  std::uint64_t left_ = 0;       // of the member's body in the archive
  std::size_t padding_ = 0;      // behind it
  std::vector<Extent> extents_;  // of the body that is still to be read
  std::size_t extent_ = 0;       // the one that body() is in
  std::uint64_t done_ = 0;       // of that
};

}  // namespace capsem::tar
