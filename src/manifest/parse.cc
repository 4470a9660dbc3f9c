#include "manifest/parse.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "manifest/deployed.h"
#include "manifest/policy.h"
#include "manifest/sums.h"
#include "manifest/table.h"

namespace capsem::manifest {
namespace {

constexpr std::uint64_t kLimitBytes = 1 << 20;
constexpr std::int64_t kHighestPort = 0xfffffffe;

constexpr std::array<std::string_view, 2> kTopKeys = {"version", "entry"};
constexpr std::array<std::string_view, 8> kEntryKeys = {"name", "build", "file",      "path",
                                                        "mode", "into",  "essential", "service"};
constexpr std::array<std::string_view, 4> kServiceKeys = {"arguments", "capabilities", "listen",
                                                          "restart"};

// Files of kGuestRoot that are no entries.
constexpr std::array<std::string_view, 3> kOwnPaths = {kTablePath, kSumsPath, kDeployedPath};

// Reads one table, remembering the first thing that is wrong with it.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string file) : table_(table), file_(std::move(file)) {}

  template <std::size_t N>
  void allow_keys(const std::array<std::string_view, N>& keys, std::string_view what) {
    for (const auto& [key, node] : table_) {
      if (std::ranges::find(keys, key.str()) != keys.end()) continue;
      std::string known;
      for (auto name : keys) known += (known.empty() ? "" : ", ") + std::string(name);
      refuse(key.source(), "the key '" + printable(key.str()) + "' is not known",
             "the keys of " + std::string(what) + " are " + known);
    }
  }

  std::optional<std::string> text(std::string_view key, std::string_view example) {
    return value<std::string>(key, "a string", example);
  }
  std::optional<std::int64_t> number(std::string_view key, std::string_view example) {
    return value<std::int64_t>(key, "a whole number", example);
  }
  std::optional<bool> boolean(std::string_view key) {
    return value<bool>(key, "true or false", "true");
  }
  std::optional<std::vector<std::string>> texts(std::string_view key, std::string_view example) {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    const auto* array = node->as_array();
    std::vector<std::string> list;
    if (array != nullptr)
      for (const auto& item : *array)
        if (auto item_text = item.value<std::string>()) list.push_back(*item_text);
    if (array == nullptr || list.size() != array->size()) {
      refuse(node->source(), quoted(key) + " is not a list of strings",
             "write " + std::string(key) + " = " + std::string(example));
      return std::nullopt;
    }
    return list;
  }
  const toml::table* table(std::string_view key) {
    const auto* node = table_.get(key);
    if (node != nullptr && !node->is_table())
      refuse(node->source(), quoted(key) + " is not a table",
             "write " + std::string(key) + " = { ... }");
    return node != nullptr ? node->as_table() : nullptr;
  }

  void refuse(const toml::source_region& source, std::string reason, std::string advice) {
    if (error_) return;
    error_ = Error("read", at(source), std::move(reason), std::move(advice), ErrorKind::kInvalid);
  }
  void refuse_key(std::string_view key, std::string reason, std::string advice) {
    const auto* node = table_.get(key);
    refuse(node != nullptr ? node->source() : table_.source(), std::move(reason),
           std::move(advice));
  }
  void adopt(Result<> result) {
    if (!result && !error_) error_ = std::move(result).error();
  }

  std::string at(const toml::source_region& source) const {
    return file_ + ":" + std::to_string(source.begin.line);
  }
  std::string at_key(std::string_view key) const {
    const auto* node = table_.get(key);
    return at(node != nullptr ? node->source() : table_.source());
  }
  std::optional<Error>& error() { return error_; }

 private:
  static std::string quoted(std::string_view key) { return "'" + std::string(key) + "'"; }

  template <class T>
  std::optional<T> value(std::string_view key, std::string_view type, std::string_view example) {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    auto found = node->value_exact<T>();
    if (!found)
      refuse(node->source(), quoted(key) + " is not " + std::string(type),
             "write " + std::string(key) + " = " + std::string(example));
    return found;
  }

  const toml::table& table_;
  std::string file_;
  std::optional<Error> error_;
};

bool valid_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
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
  if (std::ranges::any_of(entry.path, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return in.refuse_key("path", quoted_path + " has a control character", advice);
  for (auto part : split(std::string_view(entry.path).substr(1), '/'))
    if (part.empty() || part == "." || part == "..")
      return in.refuse_key("path", quoted_path + " has an empty, . or .. part", advice);
  if (!entry.is_init() && !entry.path.starts_with(std::string(kGuestRoot) + "/"))
    in.refuse_key("path", quoted_path + " lies outside " + kGuestRoot, advice);
}

void read_mode(TableReader& in, Entry& entry) {
  auto mode = in.text("mode", "\"0555\"");
  if (!mode) return in.refuse_key("mode", "'mode' is missing", "write mode = \"0555\"");
  auto [end, error] = std::from_chars(mode->data(), mode->data() + mode->size(), entry.mode, 8);
  if (error != std::errc{} || end != mode->data() + mode->size() || entry.mode > 07777)
    return in.refuse_key("mode", "the mode \"" + printable(*mode) + "\" is not octal",
                         "write mode = \"0555\"");
  in.adopt(check_stated_mode(entry, in.at_key("mode")));
}

// Whether a source is anything but something below the folder of guest.toml.
bool leaves_its_folder(std::string_view file) {
  return std::ranges::any_of(split(file, '/'), [](std::string_view part) {
    return part.empty() || part == "." || part == "..";
  });
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
  if (entry.file && leaves_its_folder(*entry.file))
    in.refuse_key("file",
                  "the source \"" + printable(*entry.file) + "\" leaves the folder of guest.toml",
                  "write a path relative to guest.toml");
}

void read_into(TableReader& in, Entry& entry) {
  auto places = in.texts("into", "[\"initrd\", \"rootfs\"]");
  constexpr const char* kAdvice = "write into = [\"initrd\", \"rootfs\"], or one of them";
  if (!places || places->empty())
    return in.refuse_key("into", "'into' is missing or empty", kAdvice);
  for (const auto& place : *places) {
    if (place == "initrd")
      entry.in_initrd = true;
    else if (place == "rootfs")
      entry.in_rootfs = true;
    else
      in.refuse_key("into", "\"" + printable(place) + "\" is no place", kAdvice);
  }
}

void read_service(TableReader& in, const std::string& file, Entry& entry) {
  const auto* table = in.table("service");
  if (table == nullptr) return;
  if (!entry.build)
    return in.refuse_key("service", "only a built program can be a service", "remove 'service'");
  TableReader service(*table, file);
  service.allow_keys(kServiceKeys, "a service");
  entry.service.emplace();
  if (auto arguments = service.texts("arguments", "[\"--verbose\"]")) {
    for (const auto& argument : *arguments)
      if (argument.find_first_of("\t\n") != std::string::npos)
        service.refuse_key("arguments", "an argument has a tab or a line end", "remove it");
    entry.service->arguments = *arguments;
  }
  if (auto port = service.number("listen", "5001")) {
    if (*port < 1 || *port > kHighestPort)
      service.refuse_key("listen", "the vsock port is out of range", "write listen = 5001");
    entry.service->listen = static_cast<std::uint32_t>(*port);
  }
  for (const auto& name : service.texts("capabilities", "[\"net_bind_service\"]")
                              .value_or(std::vector<std::string>{})) {
    auto set = find_capability(name);
    if (!set)
      service.refuse_key("capabilities", "there is no capability \"" + printable(name) + "\"",
                         "write some of " + known_capabilities());
    entry.service->capabilities |= set.value_or(0);
  }
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
    in.refuse_key("name", "'name' is missing or has other than lower-case letters, digits and '-'",
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

// What no entry can know by itself: names, paths and ports are used once, and no entry lies inside
// another.
Result<> check_together(const Manifest& manifest) {
  std::map<std::string, const Entry*> names;
  std::map<std::string, const Entry*> paths;
  std::map<std::uint32_t, const Entry*> ports;
  for (const auto& entry : manifest.entries) {
    auto refuse = [&](const std::string& what, const Entry* other) {
      return fail("read", manifest.file + ":" + std::to_string(entry.line),
                  what + " of " + entry.name + " is used by the entry of line " +
                      std::to_string(other->line) + " already",
                  "give each entry its own", ErrorKind::kInvalid);
    };
    auto [name, new_name] = names.emplace(entry.name, &entry);
    if (!new_name) return refuse("the name", name->second);
    auto [path, new_path] = paths.emplace(entry.path, &entry);
    if (!new_path) return refuse("the path", path->second);
    if (entry.service && entry.service->listen) {
      auto [port, new_port] = ports.emplace(*entry.service->listen, &entry);
      if (!new_port) return refuse("the port", port->second);
    }
  }
  auto init = paths.find("/init");
  if (init == paths.end() || !init->second->in_initrd)
    return fail("read", manifest.file + ":1", "no entry of the initrd has the path /init",
                "add the one of capsem-init: it is what the kernel starts", ErrorKind::kInvalid);
  for (const auto& [path, entry] : paths)
    for (auto parent = std::filesystem::path(path); parent != "/"; parent = parent.parent_path()) {
      auto outer = paths.find(parent);
      bool inside = outer != paths.end() && outer->second != entry;
      if (inside || std::ranges::find(kOwnPaths, parent) != kOwnPaths.end())
        return fail("read", manifest.file + ":" + std::to_string(entry->line),
                    "the path of " + entry->name + " is taken, or lies inside one that is",
                    "give each entry its own directory", ErrorKind::kInvalid);
    }
  return {};
}

}  // namespace

Result<Manifest> parse(std::string_view text, const std::string& file) {
  auto parsed = toml::parse(text, file);
  if (!parsed)
    return fail("read", file + ":" + std::to_string(parsed.error().source().begin.line),
                "it is not TOML: " + std::string(parsed.error().description()), "",
                ErrorKind::kInvalid);
  const toml::table& top = parsed.table();
  TableReader in(top, file);
  in.allow_keys(kTopKeys, "the file");
  if (in.number("version", "1") != 1)
    in.refuse_key("version", "'version' is not 1", "write version = 1");
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
  for (const auto& entry : manifest->entries) {
    if (!entry.file) continue;
    std::error_code error;
    if (!std::filesystem::exists(path.parent_path() / *entry.file, error))
      return fail("read", path.string() + ":" + std::to_string(entry.line),
                  "the source " + *entry.file + " of " + entry.name + " is missing",
                  "make it, or name the file that is there", ErrorKind::kInvalid);
  }
  return manifest;
}

}  // namespace capsem::manifest
