#include "cli/initrd/record_text.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "base/fd.h"
#include "base/json.h"
#include "base/text.h"
#include "initrd/file_type.h"

namespace capsem::cli {
namespace {

constexpr std::size_t kSizeWidth = 10;
constexpr std::size_t kLinksWidth = 3;
constexpr std::size_t kTimeWidth = 20;

bool is_device(const cpio::Header& header) {
  return header.type() == cpio::kCharacterDevice || header.type() == cpio::kBlockDevice;
}

// "drwxr-xr-x"
std::array<char, 10> mode_text(std::uint32_t mode) {
  std::array<char, 10> text{};
  text[0] = initrd::type_letter(mode);
  constexpr std::string_view kLetters = "rwxrwxrwx";
  for (std::size_t i = 0; i < kLetters.size(); ++i)
    text.at(i + 1) = (mode & (0400U >> i)) != 0 ? kLetters[i] : '-';
  constexpr std::array<std::pair<std::uint32_t, char>, 3> kSpecial = {
      {{04000, 's'}, {02000, 's'}, {01000, 't'}}};
  for (std::size_t i = 0; i < kSpecial.size(); ++i) {
    char& execute = text.at(3 + 3 * i);
    auto [bit, letter] = kSpecial.at(i);
    if ((mode & bit) != 0)
      execute = execute == 'x' ? letter : static_cast<char>(letter - 'a' + 'A');
  }
  return text;
}

// `value` in `text`, right-aligned, with zeros before it.
void set_digits(std::span<char> text, unsigned value) {
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, value /= 10)
    *digit = static_cast<char>('0' + value % 10);
}

// "2026-11-24T09:10:11Z"
std::array<char, kTimeWidth> time_text(std::uint32_t seconds_since_1970) {
  const std::chrono::sys_seconds time{std::chrono::seconds(seconds_since_1970)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, kTimeWidth> text{};
  std::ranges::copy(std::string_view("0000-00-00T00:00:00Z"), text.begin());
  std::span<char> all(text);
  set_digits(all.subspan(0, 4), static_cast<unsigned>(static_cast<int>(date.year())));
  set_digits(all.subspan(5, 2), static_cast<unsigned>(date.month()));
  set_digits(all.subspan(8, 2), static_cast<unsigned>(date.day()));
  set_digits(all.subspan(11, 2), static_cast<unsigned>(clock.hours().count()));
  set_digits(all.subspan(14, 2), static_cast<unsigned>(clock.minutes().count()));
  set_digits(all.subspan(17, 2), static_cast<unsigned>(clock.seconds().count()));
  return text;
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

// "NAME":"TEXT", with NAME_hex behind it where the text does not say it all.
void put_bytes_member(BufferedOutput& out, std::string_view name, std::string_view text) {
  out.put("\"").put(name).put("\":");
  put_json_string(out, text);
  if (is_plain(text) || is_utf8(text)) return;
  out.put(",\"").put(name).put("_hex\":\"").put(hex(as_bytes(text))).put("\"");
}

}  // namespace

void put_text(BufferedOutput& out, const cpio::Record& record, std::string_view target) {
  const auto& header = record.header;
  const auto mode = mode_text(header.mode);
  out.put({mode.data(), mode.size()}).put_number(header.links, kLinksWidth).put(" ");
  out.put_number(header.uid).put(" ").put_number(header.gid).put(" ");
  if (is_device(header)) {
    out.put_number(header.rdevice_major, kSizeWidth / 2 - 1).put(", ");
    out.put_number(header.rdevice_minor, kSizeWidth / 2 - 1);
  } else {
    out.put_number(record.body_bytes, kSizeWidth);
  }
  if (header.mtime == 0) {
    out.put(" -                    ");
  } else {
    const auto time = time_text(header.mtime);
    out.put(" ").put({time.data(), time.size()}).put(" ");
  }
  out.put(printable(record.path));
  if (header.type() == cpio::kSymlink) out.put(" -> ").put(printable(target));
  out.put("\n");
}

void put_segment_heading(BufferedOutput& out) {
  out.put("    offset codec      bytes   unpacked records\n");
}

void put_text(BufferedOutput& out, const initrd::Segment& segment) {
  auto codec = std::string(codec::name(segment.codec));
  codec.resize(5, ' ');
  out.put_number(segment.offset, kSizeWidth).put(" ").put(codec).put(" ");
  out.put_number(segment.bytes, kSizeWidth).put(" ");
  out.put_number(segment.archive_bytes, kSizeWidth).put(" ");
  out.put_number(segment.records, 7).put("\n");
}

void put_json_string(BufferedOutput& out, std::string_view text) {
  if (is_plain(text))
    out.put("\"").put(text).put("\"");
  else
    out.put(json_string(text));
}

void put_json(BufferedOutput& out, const cpio::Record& record, std::uint32_t archive,
              std::string_view target) {
  const auto& header = record.header;
  out.put("{");
  put_bytes_member(out, "path", record.path);
  out.put(",\"type\":\"").put(initrd::type_name(header.mode));
  out.put("\",\"mode\":\"").put(octal(header.mode)).put("\"");
  const std::array<std::pair<std::string_view, std::uint64_t>, 12> numbers = {{
      {"links", header.links},
      {"uid", header.uid},
      {"gid", header.gid},
      {"bytes", record.body_bytes},
      {"mtime", header.mtime},
      {"inode", header.inode},
      {"device_major", header.device_major},
      {"device_minor", header.device_minor},
      {"rdevice_major", header.rdevice_major},
      {"rdevice_minor", header.rdevice_minor},
      {"archive", archive},
      {"checksum", record.checksum.value_or(0)},
  }};
  for (const auto& [name, value] : numbers)
    if (name != "checksum" || record.checksum)
      out.put(",\"").put(name).put("\":").put_number(value);
  if (header.type() == cpio::kSymlink) {
    out.put(",");
    put_bytes_member(out, "target", target);
  }
  out.put("}");
}

void put_json(BufferedOutput& out, const initrd::Segment& segment) {
  out.put("\"offset\":").put_number(segment.offset);
  out.put(",\"codec\":\"").put(codec::name(segment.codec));
  out.put("\",\"bytes\":").put_number(segment.bytes);
  out.put(",\"unpacked_bytes\":").put_number(segment.archive_bytes);
  out.put(",\"record_count\":").put_number(segment.records);
  out.put(",\"archive_count\":").put_number(std::max(segment.trailers, 1U));
}

void put_text(BufferedOutput& out, const initrd::BootConfig& config) {
  out.put_number(config.offset, kSizeWidth).put(" config");
  out.put_number(config.bytes, kSizeWidth).put(" ");
  out.put_number(config.text.size(), kSizeWidth).put("       -\n");
}

void put_json(BufferedOutput& out, const initrd::BootConfig& config) {
  out.put(",\"boot_config\":{\"offset\":").put_number(config.offset);
  out.put(",\"bytes\":").put_number(config.bytes).put(",");
  put_bytes_member(out, "text", config.text);
  out.put("}");
}

}  // namespace capsem::cli
