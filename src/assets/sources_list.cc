#include "assets/sources_list.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/directory.h"
#include "base/file.h"
#include "base/text.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxListBytes = 1 << 20;

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  while (!(text = trim(text)).empty()) {
    auto end = text.find_first_of(" \t\r\n");
    found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end, text.size()));
  }
  return found;
}

bool contains(const std::vector<std::string_view>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

bool is_of_suite(std::string_view name, std::string_view suite) {
  return name.starts_with(suite) &&
         (name.size() == suite.size() || name.substr(suite.size()) == "-updates" ||
          name.substr(suite.size()) == "-security");
}

bool all_of_suite(const std::vector<std::string_view>& names, std::string_view suite) {
  return !names.empty() &&
         std::ranges::all_of(names, [&](auto name) { return is_of_suite(name, suite); });
}

bool has_password(std::string_view address) {
  return address.find('@') != std::string_view::npos;
}

// "deb [options] URI SUITE COMPONENT ..."
bool wanted_line(std::string_view line, std::string_view suite) {
  auto open = line.find('[');
  auto close = line.find(']');
  std::string text(line);
  if (open != std::string_view::npos && close != std::string_view::npos && open < close)
    text.erase(open, close - open + 1);
  auto parts = words(text);
  if (parts.size() < 4 || parts[0] != "deb" || has_password(parts[1])) return false;
  std::vector<std::string_view> components(parts.begin() + 3, parts.end());
  return is_of_suite(parts[2], suite) && contains(components, "main");
}

// A field's value with its continuation lines, without comments.
std::string value_of(std::string_view stanza, std::string_view key) {
  std::string value;
  bool inside = false;
  for (auto line : split(stanza, '\n')) {
    if (line.starts_with('#')) continue;
    if (!line.starts_with(' ') && !line.starts_with('\t')) {
      auto colon = line.find(':');
      inside = colon != std::string_view::npos && line.substr(0, colon) == key;
      if (inside) line.remove_prefix(colon + 1);
    }
    if (inside) (value += line) += ' ';
  }
  return value;
}

bool wanted_stanza(std::string_view stanza, std::string_view suite) {
  auto types = value_of(stanza, "Types");
  auto suites = value_of(stanza, "Suites");
  auto components = value_of(stanza, "Components");
  return words(types) == std::vector<std::string_view>{"deb"} &&
         all_of_suite(words(suites), suite) && contains(words(components), "main") &&
         !has_password(value_of(stanza, "URIs")) && trim(value_of(stanza, "Enabled")) != "no";
}

}  // namespace

std::string entries_for_suite(std::string_view one_line_list, std::string_view suite) {
  std::string wanted;
  for (auto line : split(one_line_list, '\n')) {
    line = trim(line.substr(0, line.find('#')));
    if (wanted_line(line, suite)) (wanted += line) += '\n';
  }
  return wanted;
}

std::string stanzas_for_suite(std::string_view deb822, std::string_view suite) {
  std::string wanted;
  std::string stanza;
  auto end = [&] {
    if (wanted_stanza(stanza, suite)) (wanted += stanza) += '\n';
    stanza.clear();
  };
  for (auto line : split(deb822, '\n')) {
    if (trim(line).empty())
      end();
    else if (!line.starts_with('#'))
      (stanza += line) += '\n';
  }
  end();
  return wanted;
}

HostSources host_sources(const fs::path& apt_directory, std::string_view suite) {
  std::set<fs::path> files = {apt_directory / "sources.list"};
  auto parts = apt_directory / "sources.list.d";
  for (const auto& name : names_in(parts).value_or(std::vector<std::string>()))
    files.insert(parts / name);
  HostSources sources;
  for (const auto& file : files) {
    auto text = read_file(file, kMaxListBytes);
    if (!text) continue;  // what apt of this user cannot read it cannot use either
    if (file.extension() == ".list") sources.one_line += entries_for_suite(*text, suite);
    if (file.extension() == ".sources") sources.deb822 += stanzas_for_suite(*text, suite);
  }
  return sources;
}

}  // namespace capsem::assets
