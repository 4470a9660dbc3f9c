#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/text.h"
#include "initrd/sources.h"

namespace capsem::initrd {
namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view line) {
  Words words;
  constexpr std::string_view kBlank = " \t\r";
  for (std::size_t at = line.find_first_not_of(kBlank); at != std::string_view::npos;) {
    auto end = std::min(line.find_first_of(kBlank, at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = line.find_first_not_of(kBlank, end);
  }
  return words;
}

std::unexpected<Error> invalid(std::string reason) {
  return fail("use", "it", std::move(reason), "", ErrorKind::kInvalid);
}

Result<std::uint32_t> number(const std::string& word, int base) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
  if (error != std::errc{} || end != word.data() + word.size())
    return invalid("\"" + printable(word) + "\" is no " + (base == 8 ? "octal " : "") + "number");
  return value;
}

Result<std::string> path_of(const std::string& name) {
  auto start = name.find_first_not_of('/');
  std::string path = start == std::string::npos ? "." : name.substr(start);
  if (auto checked = cpio::check_path(path); !checked) return propagate(checked);
  return path;
}

// ${NAME} becomes the variable's value, or nothing, as gen_init_cpio has it.
std::string expanded(std::string location) {
  for (std::size_t begin = 0; (begin = location.find("${", begin)) != std::string::npos;) {
    auto end = location.find('}', begin);
    if (end == std::string::npos) break;
    const char* value = ::getenv(location.substr(begin + 2, end - begin - 2).c_str());
    std::string text = value == nullptr ? "" : value;
    location.replace(begin, end + 1 - begin, text);
    begin += text.size();
  }
  return location;
}

// Mode, uid and gid from three words.
Result<cpio::Metadata> metadata_of(std::uint32_t type, std::span<const std::string> words) {
  auto mode = number(words[0], 8);
  if (!mode) return propagate(mode);
  auto uid = number(words[1], 10);
  if (!uid) return propagate(uid);
  auto gid = number(words[2], 10);
  if (!gid) return propagate(gid);
  if (*mode > 07777) return invalid("the mode " + words[0] + " has more than permission bits");
  return cpio::Metadata{.mode = type | *mode, .uid = *uid, .gid = *gid};
}

// file NAME LOCATION MODE UID GID [HARD LINKS]
Result<Node> file_node(std::span<const std::string> words) {
  auto metadata = metadata_of(cpio::kRegular, words.subspan(2, 3));
  if (!metadata) return propagate(metadata);
  Node node;
  for (std::size_t i = 5; i < words.size(); ++i) {
    auto link = path_of(words[i]);
    if (!link) return propagate(link);
    node.paths.push_back(std::move(*link));
  }
  node.metadata = *metadata;
  node.content.file = expanded(words[1]);
  struct stat status{};
  if (::stat(node.content.file.c_str(), &status) != 0)
    return fail_system("look at", node.content.file, errno);
  if (!S_ISREG(status.st_mode)) return invalid(node.content.file.string() + " is no regular file");
  node.metadata.mtime = archived_time(status.st_mtime);
  node.content.identity = identity_of(status);
  node.body_bytes = node.content.identity->size_bytes;
  return node;
}

// dir, pipe and sock NAME MODE UID GID
template <std::uint32_t Type>
Result<Node> plain_node(std::span<const std::string> words) {
  auto metadata = metadata_of(Type, words.subspan(1));
  if (!metadata) return propagate(metadata);
  Node node;
  node.metadata = *metadata;
  return node;
}

// slink NAME TARGET MODE UID GID
Result<Node> symlink_node(std::span<const std::string> words) {
  auto metadata = metadata_of(cpio::kSymlink, words.subspan(2));
  if (!metadata) return propagate(metadata);
  Node node;
  node.metadata = *metadata;
  node.content.bytes = words[1];
  node.body_bytes = words[1].size();
  return node;
}

// nod NAME MODE UID GID b|c MAJOR MINOR
Result<Node> device_node(std::span<const std::string> words) {
  if (words[4] != "b" && words[4] != "c") return invalid("the device type is neither b nor c");
  auto type = words[4] == "b" ? cpio::kBlockDevice : cpio::kCharacterDevice;
  auto metadata = metadata_of(type, words.subspan(1, 3));
  if (!metadata) return propagate(metadata);
  auto device_major = number(words[5], 10);
  if (!device_major) return propagate(device_major);
  auto device_minor = number(words[6], 10);
  if (!device_minor) return propagate(device_minor);
  Node node;
  node.metadata = *metadata;
  node.metadata.rdevice_major = *device_major;
  node.metadata.rdevice_minor = *device_minor;
  return node;
}

struct Kind {
  std::string_view word;
  std::string_view form;
  std::size_t words;  // after the kind; a file may have more
  Result<Node> (*make)(std::span<const std::string> words);
};

constexpr std::array kKinds = {
    Kind{"file", "file NAME LOCATION MODE UID GID [HARD LINK...]", 5, file_node},
    Kind{"dir", "dir NAME MODE UID GID", 4, plain_node<cpio::kDirectory>},
    Kind{"nod", "nod NAME MODE UID GID b|c MAJOR MINOR", 7, device_node},
    Kind{"slink", "slink NAME TARGET MODE UID GID", 5, symlink_node},
    Kind{"pipe", "pipe NAME MODE UID GID", 4, plain_node<cpio::kFifo>},
    Kind{"sock", "sock NAME MODE UID GID", 4, plain_node<cpio::kSocket>},
};

Result<Node> node_of(const Words& words) {
  const auto* kind = std::ranges::find(kKinds, words.front(), &Kind::word);
  if (kind == kKinds.end())
    return invalid("\"" + printable(words.front()) +
                   "\" is none of file, dir, nod, slink, pipe and sock");
  auto rest = std::span(words).subspan(1);
  const bool may_have_more = kind->make == &file_node;
  if (rest.size() < kind->words || (rest.size() > kind->words && !may_have_more))
    return invalid("the line is not \"" + std::string(kind->form) + "\"");
  auto node = kind->make(rest);
  if (!node) return node;
  auto path = path_of(rest[0]);
  if (!path) return propagate(path);
  node->paths.insert(node->paths.begin(), std::move(*path));
  return node;
}

}  // namespace

Result<std::vector<Node>> parse_list(std::string_view text, const std::string& name) {
  std::vector<Node> nodes;
  std::size_t line_number = 0;
  for (auto line : split(text, '\n')) {
    ++line_number;
    auto words = words_of(line);
    if (words.empty() || words.front().starts_with('#')) continue;
    auto node = node_of(words);
    if (!node) return propagate(node, "read", name + ":" + std::to_string(line_number));
    nodes.push_back(std::move(*node));
  }
  return nodes;
}

}  // namespace capsem::initrd
