#include "initrd/diff.h"

#include <string_view>
#include <unordered_map>

#include "base/text.h"
#include "initrd/file_type.h"
#include "initrd/tree.h"
#include "initrd/tree_reader.h"

namespace capsem::initrd {
namespace {

constexpr std::string_view kArrow = " -> ";

// One image as it is compared: its files and, of those with several names, the first one.
struct Side {
  Tree tree;
  std::unordered_map<Tree::FileId, std::string_view> first_names;

  // Of what path and file are: "" for a first or only name.
  std::string link_of(std::string_view path, Tree::FileId id) const {
    auto first = first_names.find(id);
    if (first == first_names.end() || first->second == path) return "";
    return std::string(first->second);
  }
};

Result<> read(const DiffSide& image, std::uint64_t limit_bytes, Side& side) {
  ImageReader records(image.image, limit_bytes);
  TreeReader reader(records, side.tree, TreeReader::Bodies::kHash);
  for (;;) {
    auto record = reader.next();
    if (!record) return propagate(record, "compare", image.name);
    if (*record == nullptr) break;
    if (auto added = reader.add(); !added) return propagate(added, "compare", image.name);
  }
  for (const auto& [path, id] : side.tree.names())
    if (side.tree.file(id).names > 1) side.first_names.try_emplace(id, path);
  return {};
}

std::string owner(const File& file) {
  return std::to_string(file.uid) + ":" + std::to_string(file.gid);
}

std::string device(const File& file) {
  return std::to_string(file.rdevice_major) + ":" + std::to_string(file.rdevice_minor);
}

bool is_device(const File& file) {
  return file.type() == cpio::kCharacterDevice || file.type() == cpio::kBlockDevice;
}

class Comparison {
 public:
  Comparison(const File& before, const File& after) : before_(before), after_(after) {}

  void note(std::string_view what, const std::string& before, const std::string& after) {
    if (before == after) return;
    changes_.push_back(std::string(what) + " " + before + std::string(kArrow) + after);
  }

  void compare_metadata(bool times) {
    note("type", std::string(type_name(before_.mode)), std::string(type_name(after_.mode)));
    note("mode", octal(before_.mode), octal(after_.mode));
    note("owner", owner(before_), owner(after_));
    if (times) note("time", std::to_string(before_.mtime), std::to_string(after_.mtime));
  }

  // Of two files of the same type.
  void compare_content() {
    if (is_device(before_)) note("device", device(before_), device(after_));
    note("target", printable(before_.target), printable(after_.target));
    note("size", std::to_string(before_.bytes), std::to_string(after_.bytes));
    if (before_.sha256 != after_.sha256) changes_.emplace_back("content");
  }

  std::vector<std::string> take() { return std::move(changes_); }

 private:
  const File& before_;
  const File& after_;
  std::vector<std::string> changes_;
};

class Differ {
 public:
  Differ(const Side& before, const Side& after, bool times)
      : before_(before), after_(after), times_(times) {}

  std::vector<Difference> run() {
    auto left = before_.tree.names().begin();
    auto right = after_.tree.names().begin();
    const auto left_end = before_.tree.names().end();
    const auto right_end = after_.tree.names().end();
    while (left != left_end || right != right_end) {
      if (right == right_end || (left != left_end && left->first < right->first)) {
        one_side(before_, *left++, Difference::Kind::kRemoved);
      } else if (left == left_end || right->first < left->first) {
        one_side(after_, *right++, Difference::Kind::kAdded);
      } else {
        both(left->first, left->second, right->second);
        ++left;
        ++right;
      }
    }
    return std::move(differences_);
  }

 private:
  void put(Difference::Kind kind, const std::string& path, std::vector<std::string> changes) {
    differences_.push_back(
        {.kind = kind, .path = path.empty() ? "." : path, .changes = std::move(changes)});
  }

  // What only Linux itself put there is in neither image.
  void one_side(const Side& side, const std::pair<const std::string, Tree::FileId>& name,
                Difference::Kind kind) {
    if (!side.tree.file(name.second).built_in) put(kind, name.first, {});
  }

  void both(const std::string& path, Tree::FileId before_id, Tree::FileId after_id) {
    const File& before = before_.tree.file(before_id);
    const File& after = after_.tree.file(after_id);
    if (before.built_in && after.built_in) return;
    if (before.built_in) return put(Difference::Kind::kAdded, path, {});
    if (after.built_in) return put(Difference::Kind::kRemoved, path, {});
    Comparison comparison(before, after);
    comparison.compare_metadata(times_);
    if (before.type() == after.type()) comparison.compare_content();
    comparison.note("hard link of", name_or_nothing(before_.link_of(path, before_id)),
                    name_or_nothing(after_.link_of(path, after_id)));
    auto changes = comparison.take();
    if (!changes.empty()) put(Difference::Kind::kChanged, path, std::move(changes));
  }

  static std::string name_or_nothing(const std::string& name) {
    return name.empty() ? "nothing" : printable(name);
  }

  const Side& before_;
  const Side& after_;
  bool times_;
  std::vector<Difference> differences_;
};

}  // namespace

Result<std::vector<Difference>> diff(const DiffSide& before, const DiffSide& after,
                                     const DiffOptions& options) {
  Side left;
  Side right;
  if (auto done = read(before, options.limit_bytes, left); !done) return propagate(done);
  if (auto done = read(after, options.limit_bytes, right); !done) return propagate(done);
  return Differ(left, right, options.times).run();
}

}  // namespace capsem::initrd
