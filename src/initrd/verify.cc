#include "initrd/verify.h"

#include <elf.h>

#include <cstring>
#include <map>

#include "base/fd.h"
#include "base/text.h"
#include "initrd/image.h"
#include "manifest/policy.h"
#include "manifest/table.h"

namespace capsem::initrd {
namespace {

// The last record of each path, as Linux leaves it; hard links share a body.
struct Seen {
  cpio::Header header;
  Digest sha256;
  std::uint64_t bytes = 0;
  std::string elf_problem;
};

template <class T>
bool read_struct(std::span<const std::byte> body, std::uint64_t offset, T& out) {
  if (offset > body.size() || body.size() - offset < sizeof out) return false;
  std::memcpy(&out, body.data() + offset, sizeof out);
  return true;
}

// Empty when `body` is a static executable for this machine, or no ELF file at all (a script).
std::string elf_problem(std::span<const std::byte> body) {
  if (!as_text(body).starts_with(ELFMAG))
    return as_text(body).starts_with("#!") ? "" : "it is neither an ELF file nor a script";
  Elf64_Ehdr header{};
  if (!read_struct(body, 0, header)) return "its ELF header is cut short";
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
    return "it is not built for x86_64";
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!read_struct(body, header.e_phoff + std::uint64_t{i} * header.e_phentsize, segment))
      return "its ELF program headers are cut short";
    if (segment.p_type == PT_INTERP) return "it is not static: it asks for a dynamic loader";
  }
  return "";
}

class Verifier {
 public:
  Verifier(const manifest::Manifest& manifest, const std::optional<Index>& index)
      : manifest_(manifest), index_(index) {}

  Result<std::vector<std::string>> run(std::span<const std::byte> image) {
    if (index_ && (image.size() != index_->image_bytes || sha256(image) != index_->image_sha256))
      problems_.emplace_back("the image does not match the hash in its index");
    auto walked = walk(
        image, {.record = [this](const auto& record) { return see(record); },
                .segment = [this, image](const auto& segment) { return see(segment, image); }});
    if (!walked) {
      problems_.push_back(walked.error().message());
      return std::move(problems_);
    }
    for (const auto& entry : manifest_.entries)
      if (entry.in_initrd) check(entry);
    if (index_) check_index();
    return std::move(problems_);
  }

 private:
  Result<> see(const cpio::Record& record) {
    Seen seen{.header = record.header,
              .sha256 = sha256(record.body),
              .bytes = record.body.size(),
              .elf_problem = elf_problem(record.body)};
    auto path = "/" + std::string(record.path);
    // Of hard links only the last carries the body; the names before it get it too.
    if (record.header.type() == cpio::kRegular && record.header.links > 1) {
      pending_links_.push_back(path);
      if (!record.body.empty()) {
        for (const auto& link : pending_links_) files_[link] = seen;
        pending_links_.clear();
      }
    }
    files_[path] = std::move(seen);
    return {};
  }

  Result<> see(const Segment& segment, std::span<const std::byte> image) {
    if (index_) {
      auto bytes = image.subspan(segment.offset, segment.bytes);
      if (segments_ >= index_->segments.size() ||
          index_->segments[segments_].offset != segment.offset ||
          index_->segments[segments_].sha256 != sha256(bytes))
        problems_.push_back("the segment at byte " + std::to_string(segment.offset) +
                            " does not match the index");
    }
    ++segments_;
    return {};
  }

  void check(const manifest::Entry& entry) {
    bool found = false;
    for (auto file = files_.lower_bound(entry.path); file != files_.end(); ++file) {
      const auto& [path, seen] = *file;
      if (path != entry.path && !path.starts_with(entry.path + "/")) {
        if (!path.starts_with(entry.path)) break;
        continue;
      }
      found = true;
      auto type = seen.header.type() == cpio::kDirectory ? manifest::FileType::kDirectory
                                                         : manifest::FileType::kFile;
      auto fits = manifest::check_found(entry, type, seen.header.permissions(), seen.header.uid,
                                        seen.header.gid, path);
      if (!fits) problems_.push_back(fits.error().message());
      if (entry.build && !seen.elf_problem.empty())
        problems_.push_back("cannot accept " + path + ": " + seen.elf_problem);
    }
    if (!found) problems_.push_back(entry.name + " is missing: there is no " + entry.path);
  }

  void check_index() {
    if (segments_ != index_->segments.size())
      problems_.push_back("the index lists " + std::to_string(index_->segments.size()) +
                          " segments, the image has " + std::to_string(segments_));
    for (const auto& entry : index_->entries)
      for (const auto& file : entry.files) {
        auto seen = files_.find(file.path);
        if (seen == files_.end())
          problems_.push_back(file.path + " is in the index and not in the image");
        else if (seen->second.sha256 != file.sha256 || seen->second.bytes != file.bytes ||
                 seen->second.header.permissions() != file.mode)
          problems_.push_back(file.path + " is not the one in the index");
      }
  }

  const manifest::Manifest& manifest_;
  const std::optional<Index>& index_;
  std::vector<std::string> problems_;
  std::map<std::string, Seen> files_;
  std::vector<std::string> pending_links_;
  std::size_t segments_ = 0;
};

}  // namespace

Result<std::vector<std::string>> verify(std::span<const std::byte> image,
                                        const manifest::Manifest& manifest,
                                        const std::optional<Index>& index) {
  return Verifier(manifest, index).run(image);
}

}  // namespace capsem::initrd
