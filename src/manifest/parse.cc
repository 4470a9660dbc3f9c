#include "manifest/parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>

#include "base/file.h"
#include "base/text.h"
#include "manifest/policy.h"
#include "manifest/rules.h"
#include "manifest/table_reader.h"

namespace capsem::manifest {
namespace {

constexpr std::uint64_t kLimitBytes = 1 << 20;
constexpr std::int64_t kHighestPort = 0xfffffffe;

constexpr std::array<std::string_view, 2> kTopKeys = {"version", "entry"};
constexpr std::array<std::string_view, 8> kEntryKeys = {"name", "build", "file",      "path",
                                                        "mode", "into",  "essential", "service"};
constexpr std::array<std::string_view, 5> kServiceKeys = {"arguments", "capabilities", "listen",
                                                          "network", "restart"};

bool valid_name(std::string_view name) {
  return !name.empty() && !name.starts_with('-') && name.size() <= NAME_MAX &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool has_part(std::string_view path, std::string_view wanted) {
  return std::ranges::count(split(path, '/'), wanted) > 0;
}

// Whether Linux refuses the path for its length, or for that of one of its parts.
bool too_long(std::string_view path) {
  return path.size() >= PATH_MAX ||
         std::ranges::any_of(split(path, '/'), [](auto part) { return part.size() > NAME_MAX; });
}

void read_path(TableReader& in, Entry& entry) {
  auto path = in.text("path", "\"/capsem/bin/NAME\"");
  if (!path) return in.refuse_key("path", "'path' is missing", "write path = \"/capsem/bin/NAME\"");
  entry.path = *path;
  auto advice = "write an absolute path below " + std::string(kGuestRoot) + ", such as \"" +
                kProgramDirectory + "/" + entry.name + "\"";
  auto quoted_path = "the path \"" + printable(entry.path) + "\"";
  if (!entry.path.starts_with('/'))
    return in.refuse_key("path", quoted_path + " is relative", advice);
  if (has_control_character(entry.path))
    return in.refuse_key("path", quoted_path + " has a control character", advice);
  if (too_long(entry.path)) return in.refuse_key("path", "the path is too long", advice);
  auto parts = std::string_view(entry.path).substr(1);
  if (has_part(parts, "") || has_part(parts, ".") || has_part(parts, ".."))
    return in.refuse_key("path", quoted_path + " has an empty, . or .. part", advice);
  if (!entry.is_init() && !entry.path.starts_with(std::string(kGuestRoot) + "/"))
    in.refuse_key("path", quoted_path + " lies outside " + kGuestRoot, advice);
}

void read_mode(TableReader& in, Entry& entry) {
  constexpr std::size_t kDigits = 4;
  auto examples = mode_examples(entry);
  auto advice = "write mode = " + examples;
  auto mode = in.text("mode", examples);
  if (!mode) return in.refuse_key("mode", "'mode' is missing", advice);
  auto quoted_mode = "the mode \"" + printable(*mode) + "\"";
  auto [end, error] = std::from_chars(mode->data(), mode->data() + mode->size(), entry.mode, 8);
  if (error != std::errc{} || end != mode->data() + mode->size())
    return in.refuse_key("mode", quoted_mode + " is not octal", advice);
  if (mode->size() != kDigits)
    return in.refuse_key("mode", quoted_mode + " does not have four digits", advice);
  in.adopt(check_stated_mode(entry, in.at_key("mode")));
}

void read_file_source(TableReader& in, const std::string& file) {
  constexpr const char* kAdvice = "write a path relative to guest.toml, such as \"guest/FILE\"";
  auto source = "the source \"" + printable(file) + "\"";
  if (file.empty()) return in.refuse_key("file", source + " is empty", kAdvice);
  if (file.starts_with('/') || has_part(file, ".") || has_part(file, ".."))
    return in.refuse_key("file", source + " leaves the folder of guest.toml", kAdvice);
  if (has_part(file, "")) return in.refuse_key("file", source + " has an empty part", kAdvice);
  if (has_control_character(file))
    return in.refuse_key("file", source + " has a control character", kAdvice);
  if (too_long(file)) in.refuse_key("file", "the source is too long", kAdvice);
}

void read_source(TableReader& in, Entry& entry) {
  entry.build = in.text("build", "\"doctor\"");
  entry.file = in.text("file", "\"guest/FILE\"");
  if (entry.build.has_value() == entry.file.has_value())
    return in.refuse_key(entry.build ? "file" : "name",
                         entry.build ? "it has both 'build' and 'file'" : "its source is missing",
                         "write either build = \"FOLDER OF src/guest\" or file = \"PATH\"");
  if (entry.build && !valid_name(*entry.build))
    in.refuse_key("build", "'build' is not a folder of src/guest", "write build = \"doctor\"");
  if (entry.file) read_file_source(in, *entry.file);
}

void read_into(TableReader& in, Entry& entry) {
  auto places = in.texts("into", "[\"initrd\", \"rootfs\"]");
  constexpr const char* kAdvice = "write into = [\"initrd\", \"rootfs\"], or one of them";
  if (!places || places->empty())
    return in.refuse_key("into", "'into' is missing or empty", kAdvice);
  for (const auto& place : *places) {
    if (place != "initrd" && place != "rootfs")
      return in.refuse_key("into", "\"" + printable(place) + "\" is no place", kAdvice);
    auto& named = place == "initrd" ? entry.in_initrd : entry.in_rootfs;
    if (std::exchange(named, true))
      return in.refuse_key("into", "\"" + place + "\" is there twice", kAdvice);
  }
}

void read_service(TableReader& in, const std::string& file, Entry& entry) {
  const auto* table = in.table("service");
  if (table == nullptr) return;
  if (!entry.build)
    return in.refuse_key("service", "only a built program can be a service", "remove 'service'");
  if (entry.is_init())
    return in.refuse_key("service", "the init is not one of the services that it starts",
                         "remove 'service'");
  TableReader service(*table, file);
  service.allow_keys(kServiceKeys, "a service");
  entry.service.emplace();
  if (auto arguments = service.texts("arguments", "[\"--verbose\"]")) {
    for (const auto& argument : *arguments)
      if (has_control_character(argument))
        service.refuse_key("arguments",
                           "the argument \"" + printable(argument) + "\" has a control character",
                           "remove it");
    entry.service->arguments = *arguments;
  }
  for (auto port : service.numbers("listen", "5001 or [5001, 5005]")) {
    if (port < 1 || port > kHighestPort)
      service.refuse_key("listen", "the vsock port is out of range", "write listen = 5001");
    entry.service->listen.push_back(static_cast<std::uint32_t>(port));
  }
  for (const auto& name : service.texts("capabilities", "[\"net_bind_service\"]")
                              .value_or(std::vector<std::string>{})) {
    auto set = find_capability(name);
    if (!set)
      service.refuse_key("capabilities", "there is no capability \"" + printable(name) + "\"",
                         "write some of " + known_capabilities());
    else if ((entry.service->capabilities & *set) == *set)
      service.refuse_key("capabilities", "\"" + name + "\" is there already", "remove it");
    entry.service->capabilities |= set.value_or(0);
  }
  entry.service->network = service.boolean("network").value_or(false);
  if (entry.service->network && !entry.service->listen.empty())
    service.refuse_key("network", "it has both 'network' and 'listen'", "write one of them");
  entry.service->restart = service.boolean("restart").value_or(true);
  if (service.error()) in.adopt(std::unexpected(*service.error()));
}

Result<Entry> read_entry(const toml::table& table, const std::string& file) {
  TableReader in(table, file);
  Entry entry;
  entry.line = static_cast<int>(table.source().begin.line);
  in.allow_keys(kEntryKeys, "an entry");
  entry.name = in.text("name", "\"capsem-doctor\"").value_or("");
  if (!valid_name(entry.name))
    in.refuse_key("name",
                  "'name' is missing, too long, or not of lower-case letters, digits and '-'",
                  "write name = \"capsem-doctor\"");
  read_source(in, entry);
  read_path(in, entry);
  read_mode(in, entry);
  read_into(in, entry);
  entry.essential = in.boolean("essential").value_or(false);
  read_service(in, file, entry);
  if (in.error()) return std::unexpected(std::move(*in.error()));
  return entry;
}

// The number of the first line with a carriage return that no line feed follows.
std::optional<std::ptrdiff_t> line_of_bare_return(std::string_view text) {
  for (auto at = text.find('\r'); at != std::string_view::npos; at = text.find('\r', at + 1))
    if (!text.substr(at + 1).starts_with('\n'))
      return 1 + std::ranges::count(text.substr(0, at), '\n');
  return std::nullopt;
}

// The parser's words, but for a string that is cut off by its line's end: it calls that a control
// character.
std::string said_of(const toml::parse_error& error, std::string_view text) {
  auto lines = split(text, '\n');
  auto at = error.source().begin;
  bool in_string = error.description().find("string") != std::string_view::npos;
  if (in_string && at.line <= lines.size() && at.column > lines[at.line - 1].size())
    return "a string is not closed before its line ends";
  return printable(error.description());
}

}  // namespace

Result<Manifest> parse(std::string_view text, const std::string& file) {
  if (auto line = line_of_bare_return(text))
    return fail("read", file + ":" + std::to_string(*line), "a line ends in CR without LF",
                "end the lines with LF", ErrorKind::kInvalid);
  auto parsed = toml::parse(text, file);
  if (!parsed)
    return fail("read", file + ":" + std::to_string(parsed.error().source().begin.line),
                "it is not TOML: " + said_of(parsed.error(), text), "", ErrorKind::kInvalid);
  const toml::table& top = parsed.table();
  TableReader in(top, file);
  in.allow_keys(kTopKeys, "the file");
  if (in.number("version", "1") != 1)
    in.refuse_key("version",
                  top.contains("version") ? "'version' is not 1" : "'version' is missing",
                  "write version = 1");
  const auto* entries = top.get_as<toml::array>("entry");
  if (entries == nullptr || !entries->is_array_of_tables())
    in.refuse_key("entry", "it has no entries", "write [[entry]] before each");
  if (in.error()) return std::unexpected(std::move(*in.error()));

  Manifest manifest{.file = file, .entries = {}};
  for (const auto& node : *entries) {
    auto entry = read_entry(*node.as_table(), file);
    if (!entry) return propagate(entry);
    manifest.entries.push_back(std::move(*entry));
  }
  if (auto checked = check_together(manifest); !checked) return propagate(checked);
  return manifest;
}

Result<Manifest> load(const std::filesystem::path& path) {
  auto text = read_file(path, kLimitBytes);
  if (!text) return propagate(text);
  auto manifest = parse(*text, path);
  if (!manifest) return manifest;
  for (const auto& entry : manifest->entries)
    if (auto checked = check_source(entry, path); !checked) return propagate(checked);
  return manifest;
}

}  // namespace capsem::manifest
