// capsem initrd pack|list|verify
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/guest_set.h"
#include "initrd/image.h"
#include "initrd/verify.h"
#include "manifest/parse.h"

namespace capsem::cli {
namespace {

constexpr std::uint64_t kImageLimitBytes = 4ULL << 30;

int report(const Error& error) {
  say(error.message());
  return kTrouble;
}

struct PackArguments {
  PackChoice choice;
  std::string output;
  bool no_cache = false;
};

int pack(const PackArguments& arguments) {
  auto layout = find_layout();
  if (!layout) return report(layout.error());
  if (auto built = build_guest_programs(*layout); !built) return report(built.error());
  auto manifest = manifest::load(layout->guest_toml);
  if (!manifest) return report(manifest.error());
  auto assets = assets::open_assets(layout->assets, layout->cache);
  if (!assets) return report(assets.error());
  auto choice = arguments.choice;
  choice.use_cache = !arguments.no_cache;
  auto target = arguments.output.empty() ? layout->image : std::filesystem::path(arguments.output);
  auto packed = pack_image(*layout, *manifest, *assets, choice, target);
  if (!packed) return report(packed.error());
  say(target.string() + ": " + human_size(packed->index.image_bytes) + " in " +
      std::to_string(packed->index.segments.size()) + " segments, " +
      (packed->written ? std::to_string(packed->compressed_segments) + " compressed anew"
                       : "up to date"));
  return kSuccess;
}

// "drwxr-xr-x", as ls -l prints it.
std::string mode_text(std::uint32_t mode) {
  struct Type {
    std::uint32_t type;
    char letter;
  };
  constexpr std::array kTypes = {
      Type{cpio::kDirectory, 'd'},   Type{cpio::kSymlink, 'l'}, Type{cpio::kCharacterDevice, 'c'},
      Type{cpio::kBlockDevice, 'b'}, Type{cpio::kFifo, 'p'},    Type{cpio::kSocket, 's'},
      Type{cpio::kRegular, '-'},
  };
  std::string text = "?";
  for (const auto& type : kTypes)
    if ((mode & cpio::kTypeMask) == type.type) text = type.letter;
  constexpr std::string_view kLetters = "rwxrwxrwx";
  for (std::size_t i = 0; i < kLetters.size(); ++i)
    text += (mode & (0400U >> i)) != 0 ? kLetters[i] : '-';
  constexpr std::array<std::pair<std::uint32_t, char>, 3> kSpecial = {
      {{04000, 's'}, {02000, 's'}, {01000, 't'}}};
  for (std::size_t i = 0; i < kSpecial.size(); ++i) {
    char& execute = text[3 + 3 * i];
    auto [bit, letter] = kSpecial.at(i);
    if ((mode & bit) != 0)
      execute = execute == 'x' ? letter : static_cast<char>(letter - 'a' + 'A');
  }
  return text;
}

Result<> print_record(const cpio::Record& record) {
  auto path = printable(record.path);
  if (record.header.type() == cpio::kSymlink) path += " -> " + printable(as_text(record.body));
  std::printf("%s %3u %u %u %10zu %s\n", mode_text(record.header.mode).c_str(), record.header.links,
              record.header.uid, record.header.gid, record.body.size(), path.c_str());
  return {};
}

Result<> print_segment(const initrd::Segment& segment) {
  std::printf("# segment at %llu: %s, %s stored, %s unpacked, %zu records\n",
              static_cast<unsigned long long>(segment.offset),
              std::string(codec::name(segment.codec)).c_str(), human_size(segment.bytes).c_str(),
              human_size(segment.archive_bytes).c_str(), segment.records);
  return {};
}

int list(const std::string& file, bool segments) {
  auto image = read_file(file, kImageLimitBytes);
  if (!image) return report(image.error());
  initrd::Visitor visitor{.record = print_record,
                          .segment = [](const initrd::Segment&) -> Result<> { return {}; }};
  if (segments) visitor.segment = print_segment;
  auto walked = initrd::walk(as_bytes(*image), visitor);
  if (std::fflush(stdout) != 0) return report(Error::system("write", "standard output", errno));
  if (!walked) return report(std::move(walked).error().wrapped("list", file));
  return kSuccess;
}

int verify(const std::string& file) {
  auto layout = find_layout();
  if (!layout) return report(layout.error());
  auto manifest = manifest::load(layout->guest_toml);
  if (!manifest) return report(manifest.error());
  auto path = file.empty() ? layout->image : std::filesystem::path(file);
  auto image = read_file(path, kImageLimitBytes);
  if (!image) return report(image.error());
  std::optional<initrd::Index> index;
  auto text = read_file(initrd::index_path(path), kImageLimitBytes);
  if (text) {
    auto decoded = initrd::decode_index(*text, initrd::index_path(path));
    if (!decoded) return report(decoded.error());
    index = std::move(*decoded);
  } else {
    warn(text.error().message() + "; hashes are not compared");
  }
  auto problems = initrd::verify(as_bytes(*image), *manifest, index);
  if (!problems) return report(problems.error());
  for (const auto& problem : *problems) say(path.string() + ": " + problem);
  if (!problems->empty()) return kNegative;
  say(path.string() + ": as guest.toml" + (index ? " and its index say" : " says"));
  return kSuccess;
}

}  // namespace

void add_initrd(CLI::App& app, Action& action) {
  auto* initrd = app.add_subcommand("initrd", "Pack, list and verify the image that boots");
  initrd->require_subcommand(1);

  auto pack_arguments = std::make_shared<PackArguments>();
  auto* pack_command = initrd->add_subcommand("pack", "Build stale guest programs and repack");
  pack_command->add_option("-o,--output", pack_arguments->output,
                           "The image to write; its index goes beside it (default: the one that "
                           "'capsem run' boots)");
  pack_command->add_option("--codec", pack_arguments->choice.codec, "none, gzip, zstd, lz4 or xz")
      ->capture_default_str();
  pack_command->add_option("--level", pack_arguments->choice.level, "The codec's level");
  pack_command->add_flag("--no-cache", pack_arguments->no_cache, "Compress every segment anew");
  pack_command->callback(
      [&action, pack_arguments] { action = [pack_arguments] { return pack(*pack_arguments); }; });

  auto list_file = std::make_shared<std::string>();
  auto segments = std::make_shared<bool>(false);
  auto* list_command = initrd->add_subcommand("list", "List an image's records, as ls -l does");
  list_command->add_option("FILE", *list_file, "Any initramfs image")->required();
  list_command->add_flag("--segments", *segments, "Add a line for each segment, after its records");
  list_command->callback([&action, list_file, segments] {
    action = [list_file, segments] { return list(*list_file, *segments); };
  });

  auto verify_file = std::make_shared<std::string>();
  auto* verify_command = initrd->add_subcommand(
      "verify", "Check an image against guest.toml, the policy and its index");
  verify_command->add_option("FILE", *verify_file, "The image (default: the one that boots)");
  verify_command->callback(
      [&action, verify_file] { action = [verify_file] { return verify(*verify_file); }; });
}

}  // namespace capsem::cli
