// What Linux takes of an image without a word and not as its author may have meant it, in words.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codec/codec.h"
#include "cpio/reader.h"
#include "initrd/image.h"
#include "initrd/init_check.h"
#include "initrd/tree.h"

namespace capsem::initrd {

class Warnings {
 public:
  // Of one kind at most so many are told one by one, the rest in number.
  static constexpr std::size_t kMaxOfAKind = 20;

  // What is odd about a record itself, in a segment of `codec`.
  void see(const cpio::Record& record, codec::Codec codec);

  // What is odd about a record among the others; as Tree::Report.
  void see(Surprise surprise, std::string_view path, std::string_view other);

  void see(const Segment& segment, bool has_trailer);

  void see(const BootConfig& config);

  // What is odd about the whole, of which Linux leaves `tree`. Returns the lines, each one saying
  // which record it is about and what Linux does.
  std::vector<std::string> finish(const Tree& tree, const InitCheck& init);

  // For what newer kernels refuse the image that older ones take, one line each.
  std::vector<std::string> refusals();

  // The lines so far, for an image that could not be read to its end.
  std::vector<std::string> take();

 private:
  void add(std::string_view subject, std::string_view kind, std::string_view other = {});
  void see_early(const cpio::Record& record, codec::Codec codec);

  std::map<std::string_view, std::size_t> kinds_;  // how many there were of each
  std::vector<std::string> lines_;
  std::vector<std::string> refusals_;
  std::size_t bad_numbers_ = 0;
  bool has_times_ = false;
  bool compressed_before_ = false;
};

}  // namespace capsem::initrd
