// capsem initrd pack and convert
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <functional>
#include <optional>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/user_directories.h"
#include "cli/exit_status.h"
#include "cli/initrd/image_file.h"
#include "cli/trial_boot.h"
#include "initrd/image.h"
#include "initrd/sources.h"
#include "prepare/guest_set.h"

namespace capsem::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kListLimitBytes = 256 << 20;

struct PackArguments {
  prepare::PackChoice choice;
  std::optional<std::string> from_directory;
  std::optional<std::string> from_list;
  std::optional<std::string> from_cpio;
  std::string output;
  bool keep_owner = false;
  std::uint64_t limit_bytes = initrd::kDefaultLimitBytes;
};

// Where the image goes: a file to be replaced, or something to write into.
struct Destination {
  fs::path target;
  std::optional<Fd> stream;
};

// A symbolic link stays, and what it leads to is replaced, or made.
Result<fs::path> behind_links(const fs::path& path) {
  constexpr int kMaxFollowed = 40;  // as Linux
  auto behind = path;
  for (int followed = 0; followed <= kMaxFollowed; ++followed) {
    std::error_code error;
    if (!fs::is_symlink(behind, error)) return behind;
    auto target = fs::read_symlink(behind, error);
    if (error) return fail_system("read the link", behind, error.value());
    behind = behind.parent_path() / target;  // an absolute one takes the place of all before it
  }
  return fail_system("write the image to", path, ELOOP);
}

Result<Destination> open_destination(const std::string& name) {
  if (name == "-") {
    if (::isatty(STDOUT_FILENO) == 1)
      return fail("write the image to", "standard output", "it is a terminal", "redirect it");
    auto fd = standard_descriptor(STDOUT_FILENO);
    if (!fd) return propagate(fd, "write to", "standard output");
    return Destination{name, std::move(*fd)};
  }
  struct stat status{};
  const bool exists = ::stat(name.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) return fail_system("write the image to", name, EISDIR);
  if (exists && !S_ISREG(status.st_mode)) {  // a device or a pipe is not for replacing
    auto fd = open_file(name, O_WRONLY);
    if (!fd) return propagate(fd);
    return Destination{name, std::move(*fd)};
  }
  auto target = behind_links(name);
  if (!target) return propagate(target);
  return Destination{std::move(*target), std::nullopt};
}

// The image that is to be written may lie in the tree: what was packed last time is no part of it.
void leave_out(const fs::path& target, std::vector<initrd::Node>& nodes) {
  struct stat status{};
  if (::stat(target.c_str(), &status) != 0) return;
  auto is_target = [&](const initrd::Node& node) {
    return node.content.identity && node.content.identity->device == status.st_dev &&
           node.content.identity->inode == status.st_ino;
  };
  if (std::erase_if(nodes, is_target) > 0)
    warn("leaving out " + target.string() + ", which is the image itself");
}

Result<initrd::ImageNodes> read_list(const std::string& name) {
  auto file = ImageFile::open(name);
  if (!file) return propagate(file);
  std::string text;
  for (;;) {
    auto piece = file->input().peek(1);
    if (!piece) return propagate(piece);
    if (piece->empty()) break;
    text += as_text(*piece);
    file->input().take(piece->size());
    if (text.size() > kListLimitBytes)
      return fail("read", file->name(), "it is too large for a list", "", ErrorKind::kInvalid);
  }
  auto nodes = initrd::parse_list(text, file->name());
  if (!nodes) return propagate(nodes);
  return initrd::ImageNodes{.nodes = std::move(*nodes)};
}

Result<initrd::ImageNodes> read_sources(const PackArguments& arguments, const fs::path& target) {
  if (arguments.from_directory) {
    auto nodes =
        initrd::list_directory(*arguments.from_directory,
                               arguments.keep_owner ? initrd::Owner::kKeep : initrd::Owner::kRoot);
    if (!nodes) return propagate(nodes);
    leave_out(target, *nodes);
    return initrd::ImageNodes{.nodes = std::move(*nodes)};
  }
  if (arguments.from_list) return read_list(*arguments.from_list);
  auto image = ImageFile::open(*arguments.from_cpio, "reading");
  if (!image) return propagate(image);
  auto nodes = initrd::read_image(image->input(), arguments.limit_bytes);
  image->end_progress();
  if (!nodes) return propagate(nodes, "read", image->name());
  if (nodes->skipped > 0)
    warn(image->name() + ": " + std::to_string(nodes->skipped) +
         " records that Linux makes nothing of are left out; see 'capsem initrd verify'");
  return nodes;
}

int tell(const std::string& name, const Result<initrd::PackResult>& packed) {
  if (!packed) return report(packed.error());
  if (packed->why_no_init)
    warn((name == "-" ? "the image" : name) +
         ": Linux cannot start /init: " + *packed->why_no_init);
  if (name == "-") return kSuccess;
  say(name + ": " + human_size(packed->index.image_bytes) +
      (packed->written ? " in " + std::to_string(packed->index.segments.size()) + " segments, " +
                             std::to_string(packed->compressed_segments) + " compressed anew"
                       : ", up to date"));
  return kSuccess;
}

// Packs with what the output and the terminal add to the options.
int run(const std::string& name, const Destination& output, initrd::PackOptions options,
        const std::function<Result<initrd::PackResult>(const initrd::PackOptions&)>& pack) {
  Progress progress("packing");
  options.target = output.target;
  if (output.stream) options.stream = &*output.stream;
  options.progress = [&](auto done, auto total) { progress.update(done, total); };
  auto packed = pack(options);
  progress.end();
  return tell(name, packed);
}

int pack_guest(const PackArguments& arguments, const Signals& signals) {
  auto layout = prepare::find_layout();
  if (!layout) return report(layout.error());
  auto manifest = prepare::build_guest(*layout, signals);
  if (!manifest) return report(manifest.error());
  // To choose a codec the image is booted, with all that takes.
  auto wanted = arguments.choice.codec == prepare::kAutoCodec ? assets::Wanted::kAll
                                                              : assets::Wanted::kModules;
  auto assets = assets::open_assets(layout->assets, layout->cache, wanted);
  if (!assets) return report(assets.error());
  const auto name = arguments.output.empty() ? layout->image.string() : arguments.output;
  auto output = open_destination(name);
  if (!output) return report(output.error());
  TrialBoot trial(layout->cache);
  auto choice = prepare::resolve_codec(*layout, *manifest, *assets, arguments.choice, trial);
  if (!choice) return report(choice.error());
  auto options = prepare::pack_options(*choice, layout->cache);
  if (!options) return report(options.error());
  return run(name, *output, *options, [&](const initrd::PackOptions& ready) {
    return initrd::pack_guest(*manifest, layout->sources, &assets->modules, ready);
  });
}

int pack_other(const PackArguments& arguments) {
  if (arguments.output.empty())
    return report(Error("pack", "the image", "there is no place for it", "name one with -o FILE"));
  auto cache = arguments.choice.use_cache ? cache_directory() : Result<fs::path>();
  if (!cache) {
    warn(cache.error().message() + "; nothing is kept for the next time");
    cache = fs::path();
  }
  auto options = prepare::pack_options(arguments.choice, *cache);
  if (!options) return report(options.error());
  auto output = open_destination(arguments.output);
  if (!output) return report(output.error());
  auto nodes = read_sources(arguments, output->target);
  if (!nodes) return report(nodes.error());
  // An image's times and checksums are part of what it holds.
  if (arguments.from_cpio) {
    if (::getenv("SOURCE_DATE_EPOCH") == nullptr) options->keep_mtime = true;
    options->checksum = options->checksum || nodes->has_checksums;
  }
  return run(arguments.output, *output, *options, [&](const initrd::PackOptions& ready) {
    return initrd::pack_nodes(std::move(*nodes), ready);
  });
}

Result<> check_sources(const PackArguments& arguments) {
  for (const auto* source : {&arguments.from_directory, &arguments.from_list, &arguments.from_cpio})
    if (*source && (*source)->empty())
      return fail("pack", "from \"\"", "the name is empty", "name what is to be packed",
                  ErrorKind::kInvalid);
  if (arguments.keep_owner && !arguments.from_directory)
    return fail("use", "--keep-owner", "only files of --from-dir have owners of their own",
                "leave it out", ErrorKind::kInvalid);
  return {};
}

int pack(const PackArguments& arguments, const Signals& signals) {
  if (auto checked = check_sources(arguments); !checked) return report(checked.error());
  const bool guest = !arguments.from_directory && !arguments.from_list && !arguments.from_cpio;
  return guest ? pack_guest(arguments, signals) : pack_other(arguments);
}

void add_codec_options(CLI::App& command, PackArguments& arguments) {
  command
      .add_option("--codec", arguments.choice.codec,
                  "none, gzip, zstd, lz4 or xz; auto finds out which packs and boots the guest "
                  "soonest")
      ->capture_default_str();
  command.add_option("--level", arguments.choice.level,
                     "The codec's level (gzip 1 to 12, default 6; zstd 1 to 19, 9; lz4 1 to 12, 9; "
                     "xz 0 to 9, 6)");
  command
      .add_option("--threads", arguments.choice.threads,
                  "How many threads compress (default: one for each core)")
      ->check(CLI::Range(1, 256));
}

}  // namespace

void add_initrd_pack(CLI::App& initrd, Action& action, const Signals& signals) {
  auto arguments = std::make_shared<PackArguments>();
  auto* command = initrd.add_subcommand(
      "pack", "Pack a tree, a list or an image; without a source the guest, built where stale");
  auto* from = command->add_option_group("Sources");
  from->add_option("--from-dir", arguments->from_directory, "Pack what is below this directory");
  from->add_option("--from-list", arguments->from_list,
                   "Pack what this list says (the kernel's gen_init_cpio format)");
  from->add_option("--from-cpio", arguments->from_cpio, "Pack what this image holds, again");
  from->require_option(0, 1);
  command->add_option("-o,--output", arguments->output,
                      "The image, or - (default for the guest: the one that 'capsem run' boots)");
  add_codec_options(*command, *arguments);
  command->add_flag_callback(
      "--no-cache", [arguments] { arguments->choice.use_cache = false; },
      "Compress every segment anew, and keep none");
  command
      ->add_option("--cache-limit", arguments->choice.cache_limit_bytes,
                   "How large the cache of segments may become (as in 512M)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE")
      ->default_str("2G");
  command->add_flag("--checksum", arguments->choice.checksum,
                    "Records with a checksum (070702), which Linux compares");
  command->add_flag("--keep-times", arguments->choice.keep_times,
                    "The files' own times (default: SOURCE_DATE_EPOCH, or 0)");
  command->add_flag("--keep-owner", arguments->keep_owner,
                    "With --from-dir, the files' own owners (default: root)");
  add_limit_option(*command, arguments->limit_bytes);
  command->callback([&action, arguments, &signals] {
    action = [arguments, &signals] { return pack(*arguments, signals); };
  });

  auto converted = std::make_shared<PackArguments>();
  converted->choice.use_cache = false;
  auto* convert = initrd.add_subcommand("convert", "Pack an image again, with another codec");
  convert->add_option("FILE", converted->from_cpio, "Any image, or -")->required();
  convert->add_option("-o,--output", converted->output, "The new image, or -")->required();
  add_codec_options(*convert, *converted);
  add_limit_option(*convert, converted->limit_bytes);
  convert->callback([&action, converted, &signals] {
    action = [converted, &signals] { return pack(*converted, signals); };
  });
}

}  // namespace capsem::cli
