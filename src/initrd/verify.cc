#include "initrd/verify.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <set>

#include "initrd/guest_check.h"
#include "initrd/hashing_input.h"
#include "initrd/init_check.h"
#include "initrd/tree.h"
#include "initrd/tree_reader.h"
#include "initrd/warnings.h"

namespace capsem::initrd {
namespace {

std::vector<HashingInput::Range> ranges(const Index& index) {
  std::vector<HashingInput::Range> all;
  all.reserve(index.segments.size());
  for (const auto& segment : index.segments)
    all.push_back({.offset = segment.offset, .bytes = segment.bytes});
  return all;
}

bool is_the_images(const Error& error) {
  return error.kind() == ErrorKind::kDamaged || error.kind() == ErrorKind::kInvalid;
}

class Verifier {
 public:
  Verifier(Input& image, const GuestRules* guest, std::uint64_t limit_bytes)
      : tree_([this](Surprise surprise, std::string_view path, std::string_view other) {
          warnings_.see(surprise, path, other);
        }),
        records_(image, limit_bytes),
        reader_(records_, tree_,
                guest != nullptr ? TreeReader::Bodies::kHash : TreeReader::Bodies::kSkip) {
    if (guest != nullptr) guest_.emplace(guest->manifest, guest->index);
    reader_.on_segment([this](const Segment& segment, bool has_trailer) {
      segments_.insert(segment.offset);
      warnings_.see(segment, has_trailer);
    });
  }

  Result<Findings> run() {
    auto read = read_all();
    if (!read && !is_the_images(read.error())) return propagate(read);
    Findings findings{.problems = warnings_.refusals(), .warnings = {}};
    if (!read) {
      findings.problems.push_back(read.error().message());
      findings.warnings = warnings_.take();
      return findings;
    }
    findings.warnings = warnings_.finish(tree_, init_);
    if (guest_) std::ranges::move(guest_->finish(tree_), std::back_inserter(findings.problems));
    return findings;
  }

  // Where the segments that were read begin.
  const std::set<std::uint64_t>& segments() const { return segments_; }

 private:
  Result<> read_all() {
    std::string head;
    for (;;) {
      auto record = reader_.next();
      if (!record) return propagate(record);
      if (*record == nullptr) break;
      const bool file = (*record)->header.type() == cpio::kRegular;
      warnings_.see(**record, records_.segment_codec());
      head.clear();
      auto id = reader_.add(file ? &head : nullptr,
                            guest_ ? GuestCheck::kHeadBytes : InitCheck::kHeadBytes);
      if (!id) return propagate(id);
      if (file && *id) init_.see(**id, head);
      if (guest_ && file && *id) guest_->see(**id, head);
    }
    if (const auto& config = records_.boot_config()) warnings_.see(*config);
    return {};
  }

  Warnings warnings_;
  Tree tree_;
  ImageReader records_;
  TreeReader reader_;
  InitCheck init_;
  std::optional<GuestCheck> guest_;
  std::set<std::uint64_t> segments_;
};

// What remains is read for its hash, even behind damage.
Result<> check_hashes(HashingInput& image, const Index& index,
                      const std::set<std::uint64_t>& segments, Findings& findings) {
  auto rest = image.skip(std::numeric_limits<std::uint64_t>::max() - image.position());
  if (!rest) return propagate(rest);
  auto& problems = findings.problems;
  const bool damaged = !problems.empty();
  if (image.position() != index.image_bytes || image.whole() != index.image_sha256)
    problems.emplace_back("the image does not match the hash in its index");
  for (std::size_t i = 0; i < index.segments.size(); ++i) {
    const auto& segment = index.segments[i];
    const auto where = "the segment " + segment.name + " at byte " + std::to_string(segment.offset);
    if (i >= image.digests().size() || image.digests()[i] != segment.sha256)
      problems.push_back(where + " does not match the hash in the index");
    else if (!damaged && !segments.contains(segment.offset))
      problems.push_back(where + " is in the index and not in the image");
  }
  return {};
}

}  // namespace

Result<> check_bootable(Input& image, std::uint64_t limit_bytes) {
  Tree tree;
  ImageReader records(image, limit_bytes);
  TreeReader reader(records, tree, TreeReader::Bodies::kSkip);
  InitCheck init;
  std::string head;
  for (;;) {
    auto record = reader.next();
    if (!record) return propagate(record);
    if (*record == nullptr) break;
    const bool file = (*record)->header.type() == cpio::kRegular;
    head.clear();
    auto id = reader.add(file ? &head : nullptr, InitCheck::kHeadBytes);
    if (!id) return propagate(id);
    if (file && *id) init.see(**id, head);
  }
  if (tree.names().find("init") == tree.names().end())
    return fail("find", "/init", "there is none", "", ErrorKind::kInvalid);
  if (auto why = init.why_not(tree)) return fail("start", "/init", *why, "", ErrorKind::kInvalid);
  return {};
}

Result<Findings> verify(Input& image, const GuestRules* guest, std::uint64_t limit_bytes) {
  if (guest == nullptr) return Verifier(image, nullptr, limit_bytes).run();
  HashingInput hashed(image, ranges(guest->index));
  Verifier verifier(hashed, guest, limit_bytes);
  auto findings = verifier.run();
  if (!findings) return findings;
  if (auto checked = check_hashes(hashed, guest->index, verifier.segments(), *findings); !checked)
    return propagate(checked);
  return findings;
}

}  // namespace capsem::initrd
