#include "initrd/file_content.h"

#include <optional>
#include <string>
#include <unordered_map>

#include "base/text.h"
#include "initrd/record_rules.h"
#include "initrd/tree_reader.h"

namespace capsem::initrd {
namespace {

std::unexpected<Error> no_file(std::string_view path, std::optional<std::uint32_t> type) {
  const auto shown = printable(path);
  if (!type)
    return fail("read", shown, "the image has no such file", "see 'capsem initrd list'",
                ErrorKind::kNotFound);
  return fail(
      "read", shown,
      *type == cpio::kDirectory ? "it is a directory" : "it is a device, a fifo or a socket", "",
      ErrorKind::kInvalid);
}

}  // namespace

Result<std::uint64_t> find_content(ImageReader& image, std::string_view path) {
  const auto plain = plain_path(path);
  Tree tree;
  TreeReader reader(image, tree, TreeReader::Bodies::kSkip);
  std::unordered_map<Tree::FileId, std::uint64_t> contents;
  std::optional<std::uint64_t> not_made;
  for (std::uint64_t number = 0;; ++number) {
    auto next = reader.next();
    if (!next) return propagate(next);
    if (*next == nullptr) break;
    const auto& record = **next;
    auto file = reader.add();
    if (!file) return propagate(file);
    if (record.header.type() != cpio::kRegular) continue;
    // A further name without a body leaves the file what it has.
    if (*file && (record.body_bytes > 0 || tree.file(**file).bytes == 0)) contents[**file] = number;
    if (!*file && plain_path(record.path) == plain) not_made = number;
  }
  auto found = tree.lookup(plain);
  if (!found && not_made) return *not_made;
  if (!found) return no_file(path, {});
  auto content = contents.find(*found);
  if (content == contents.end()) return no_file(path, tree.file(*found).type());
  return content->second;
}

Result<> copy_body(ImageReader& image, std::uint64_t record_number, const Sink& sink) {
  for (std::uint64_t number = 0; number <= record_number; ++number) {
    auto record = image.next();
    if (!record) return propagate(record);
    if (*record == nullptr)
      return fail("read", "the image", "it changed while it was read", "", ErrorKind::kDamaged);
  }
  for (;;) {
    auto piece = image.body();
    if (!piece) return propagate(piece);
    if (piece->empty()) return {};
    if (auto sunk = sink(*piece); !sunk) return sunk;
  }
}

}  // namespace capsem::initrd
