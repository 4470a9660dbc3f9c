#include "manifest/table.h"

#include <array>
#include <charconv>

#include "base/text.h"

namespace capsem::manifest {
namespace {

constexpr std::string_view kHeader = "capsem-entries 2";
const std::string kAbsent = "-";
enum Column { kName, kPath, kMode, kFlags, kListen, kCapabilities, kFixedColumns };

// One letter for each property that a line may have.
struct Flag {
  char letter;
  bool (*get)(const Entry&);
  void (*set)(Entry&);
};

constexpr Flag kFlagLetters[] = {
    {'i', [](const Entry& e) { return e.in_initrd; }, [](Entry& e) { e.in_initrd = true; }},
    {'r', [](const Entry& e) { return e.in_rootfs; }, [](Entry& e) { e.in_rootfs = true; }},
    {'e', [](const Entry& e) { return e.essential; }, [](Entry& e) { e.essential = true; }},
    {'b', [](const Entry& e) { return e.build.has_value(); }, [](Entry& e) { e.build = e.name; }},
    {'s', [](const Entry& e) { return e.service.has_value(); },
     [](Entry& e) {
       e.service.emplace();
       e.service->restart = false;
     }},
    {'a', [](const Entry& e) { return e.service && e.service->restart; },
     [](Entry& e) {
       if (e.service) e.service->restart = true;
     }},
    {'n', [](const Entry& e) { return e.service && e.service->network; },
     [](Entry& e) {
       if (e.service) e.service->network = true;
     }},
};

template <class Number>
bool parse_number(std::string_view text, int base, Number& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 16> digits{};
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
  return {digits.data(), end};
}

bool parse_line(std::string_view line, Entry& entry) {
  auto fields = split(line, '\t');
  if (fields.size() < kFixedColumns) return false;
  entry.name = fields[kName];
  entry.path = fields[kPath];
  if (entry.name.empty() || !entry.path.starts_with('/')) return false;
  if (!parse_number(fields[kMode], 8, entry.mode)) return false;
  for (const auto& flag : kFlagLetters)
    if (fields[kFlags].find(flag.letter) != std::string_view::npos) flag.set(entry);
  if (!entry.service) return fields.size() == kFixedColumns;
  if (fields[kListen] != kAbsent)
    for (auto port : split(fields[kListen], ','))
      if (!parse_number(port, 10, entry.service->listen.emplace_back())) return false;
  if (!parse_number(fields[kCapabilities], 16, entry.service->capabilities)) return false;
  entry.service->arguments.assign(fields.begin() + kFixedColumns, fields.end());
  return true;
}

}  // namespace

std::string encode_table(const Manifest& manifest) {
  std::string text(kHeader);
  text += '\n';
  for (const auto& entry : manifest.entries) {
    std::string flags;
    for (const auto& flag : kFlagLetters)
      if (flag.get(entry)) flags += flag.letter;
    text += entry.name + '\t' + entry.path + '\t' + octal(entry.mode) + '\t' + flags + '\t';
    std::string ports;
    if (entry.service)
      for (auto port : entry.service->listen)
        ports += (ports.empty() ? "" : ",") + std::to_string(port);
    text += ports.empty() ? kAbsent : ports;
    text += '\t' + (entry.service ? hexadecimal(entry.service->capabilities) : kAbsent);
    if (entry.service)
      for (const auto& argument : entry.service->arguments) text += '\t' + argument;
    text += '\n';
  }
  return text;
}

Result<Manifest> decode_table(std::string_view text) {
  Manifest manifest{.file = kTablePath, .entries = {}};
  int number = 0;
  while (!text.empty()) {
    auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    auto where = manifest.file + ":" + std::to_string(number);
    if (number == 1) {
      if (line == kHeader) continue;
      return fail("read", where, "the first line is not '" + std::string(kHeader) + "'",
                  "repack the initrd with this version of capsem", ErrorKind::kInvalid);
    }
    Entry entry;
    entry.line = number;
    if (!parse_line(line, entry))
      return fail("read", where, "the line does not describe an entry", "", ErrorKind::kInvalid);
    manifest.entries.push_back(std::move(entry));
  }
  if (number == 0) return fail("read", manifest.file, "it is empty", "", ErrorKind::kInvalid);
  return manifest;
}

}  // namespace capsem::manifest
