#include "assets/config_list.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"

namespace capsem::assets {
namespace {

constexpr std::uint64_t kMaxListBytes = 1 << 20;
constexpr std::string_view kLowerCase = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kUpperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

bool consists_of(std::string_view text, std::initializer_list<std::string_view> alphabets) {
  return std::ranges::all_of(text, [&](char c) {
    return std::ranges::any_of(alphabets, [c](auto alphabet) { return alphabet.contains(c); });
  });
}

// apt-get takes a name with '-' behind it for one to remove.
bool is_package_name(std::string_view name) {
  return name.size() >= 2 && consists_of(name, {kLowerCase, kDigits, "+-."}) &&
         consists_of(name.substr(0, 1), {kLowerCase, kDigits}) && !name.ends_with('-');
}

bool is_module_name(std::string_view name) {
  return consists_of(name, {kLowerCase, kUpperCase, kDigits, "_-"}) && !name.starts_with('-');
}

bool is_module_pattern(std::string_view pattern) {
  return consists_of(pattern, {kLowerCase, kUpperCase, kDigits, "_-+.,*?[]/"}) &&
         std::ranges::none_of(split(pattern, '/'),
                              [](auto part) { return part.empty() || part == ".."; });
}

std::string_view without_comment(std::string_view line) {
  return trim(line.substr(0, line.find('#')));
}

}  // namespace

const ItemRule kPackageName{"the name of a Debian package", is_package_name,
                            "write one name a line, such as git, without version or suite"};
const ItemRule kModuleName{"the name of a kernel module", is_module_name,
                           "write one name a line, such as virtio_blk"};
const ItemRule kModulePattern{"a pattern for kernel modules", is_module_pattern,
                              "write one a line, such as drivers/net/*.ko"};

std::vector<std::string> list_lines(std::string_view text) {
  std::vector<std::string> lines;
  for (auto line : split(text, '\n'))
    if (auto item = without_comment(line); !item.empty()) lines.emplace_back(item);
  return lines;
}

Result<std::vector<std::string>> read_list(const std::filesystem::path& path,
                                           const ItemRule& rule) {
  auto text = read_file(path, kMaxListBytes);
  if (!text) return propagate(text);
  int number = 0;
  for (auto line : split(*text, '\n')) {
    ++number;
    auto item = without_comment(line);
    if (!item.empty() && !rule.holds(item))
      return fail("read", path.string() + ":" + std::to_string(number),
                  "\"" + printable(item) + "\" is not " + rule.item, rule.advice,
                  ErrorKind::kInvalid);
  }
  return list_lines(*text);
}

}  // namespace capsem::assets
