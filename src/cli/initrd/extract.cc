// capsem initrd extract|cat
#include "initrd/extract.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/exit_status.h"
#include "cli/initrd/image_file.h"
#include "initrd/file_content.h"
#include "initrd/repeatable_input.h"

namespace capsem::cli {
namespace {

constexpr std::uint64_t kMaxLines = 50;  // of one kind; a hostile image could fill the terminal

struct ExtractArguments {
  std::string file;
  std::string directory = ".";
  std::vector<std::string> patterns;
  std::string to_stdout;
  bool devices = false;
  bool same_owner = ::geteuid() == 0;
  std::uint64_t limit_bytes = initrd::kDefaultLimitBytes;
};

// Says the first lines, counts the rest.
class Lines {
 public:
  explicit Lines(void (*say_line)(std::string_view)) : say_line_(say_line) {}
  void add(std::string_view line) {
    if (++count_ <= kMaxLines) say_line_(line);
  }
  void end(std::string_view what) {
    if (count_ > kMaxLines)
      say_line_("and " + std::to_string(count_ - kMaxLines) + " more " + std::string(what));
  }

 private:
  void (*say_line_)(std::string_view);
  std::uint64_t count_ = 0;
};

Result<> copy_to_stdout(const ImageFile& image, const std::string& path,
                        std::uint64_t limit_bytes) {
  auto repeatable = initrd::RepeatableInput::open(image.fd(), image.name());
  if (!repeatable) return propagate(repeatable);
  auto first = repeatable->from_start();
  if (!first) return propagate(first);
  initrd::ImageReader whole(**first, limit_bytes);
  auto number = initrd::find_content(whole, path);
  if (!number) return propagate(number);
  auto second = repeatable->from_start();
  if (!second) return propagate(second);
  initrd::ImageReader reader(**second, limit_bytes);
  return initrd::copy_body(reader, *number, [](std::span<const std::byte> piece) -> Result<> {
    return print(as_text(piece));
  });
}

int cat(const std::string& file, const std::string& path, std::uint64_t limit_bytes) {
  auto image = ImageFile::open(file);
  if (!image) return report(image.error());
  auto copied = copy_to_stdout(*image, path, limit_bytes);
  if (!copied) return report(std::move(copied).error().wrapped("read", image->name()));
  return kSuccess;
}

Result<initrd::WriteSummary> extract_below(const ImageFile& image,
                                           const ExtractArguments& arguments,
                                           initrd::Selection& selection, Fd directory,
                                           const initrd::ExtractEvents& events) {
  const initrd::WriteOptions options{.devices = arguments.devices,
                                     .keep_owner = arguments.same_owner};
  if (arguments.patterns.empty()) {
    FileInput input(image.fd(), image.name(), image.on_read());
    initrd::ImageReader reader(input, arguments.limit_bytes);
    return initrd::extract(reader, std::move(directory), selection, options, events);
  }
  auto repeatable = initrd::RepeatableInput::open(image.fd(), image.name());
  if (!repeatable) return propagate(repeatable);
  auto first = repeatable->from_start();
  if (!first) return propagate(first);
  initrd::ImageReader whole(**first, arguments.limit_bytes);
  auto chosen = initrd::Selection::by_patterns(whole, arguments.patterns);
  if (!chosen) return propagate(chosen);
  selection = std::move(*chosen);
  auto second = repeatable->from_start();
  if (!second) return propagate(second);
  initrd::ImageReader reader(**second, arguments.limit_bytes);
  return initrd::extract(reader, std::move(directory), selection, options, events);
}

void warn_of_what_is_missing(const initrd::WriteSummary& summary) {
  if (summary.devices > 0)
    warn(std::to_string(summary.devices) + " device nodes were not made; --devices makes them");
  if (summary.set_id_dropped > 0)
    warn(std::to_string(summary.set_id_dropped) +
         " files lost their set-user or set-group bit, which would mean another owner than in the "
         "image; --same-owner, as root, keeps both");
}

int extract(const ExtractArguments& arguments) {
  if (!arguments.to_stdout.empty())
    return cat(arguments.file, arguments.to_stdout, arguments.limit_bytes);
  if (arguments.devices && ::geteuid() != 0)
    return report(Error("make", "device nodes", "only root may", "leave --devices out"));
  auto image = ImageFile::open(arguments.file, "extracting");
  if (!image) return report(image.error());
  if (auto made = make_directories(arguments.directory); !made) return report(made.error());
  auto directory = open_file(arguments.directory, O_PATH | O_DIRECTORY);
  if (!directory) return report(directory.error());

  Lines failures(say);
  Lines skipped(warn);
  const initrd::ExtractEvents events{
      .failed = [&](const Error& error) { failures.add(error.message()); },
      .skipped = [&](const std::string& text) { skipped.add(text); }};
  initrd::Selection selection;
  auto summary = extract_below(*image, arguments, selection, std::move(*directory), events);
  image->end_progress();
  failures.end("records could not be extracted");
  skipped.end("records were skipped");
  if (!summary) return report(std::move(summary).error().wrapped("extract", image->name()));
  warn_of_what_is_missing(*summary);
  for (const auto& pattern : selection.unmatched())
    say("cannot extract " + printable(pattern) + ": nothing in " + image->name() + " matches it");
  return summary->failed > 0 || !selection.unmatched().empty() ? kTrouble : kSuccess;
}

void add_extract(CLI::App& initrd, Action& action) {
  auto arguments = std::make_shared<ExtractArguments>();
  auto* command = initrd.add_subcommand("extract", "Unpack an image below a directory");
  command->add_option("FILE", arguments->file, "The image; - is standard input")->required();
  auto* patterns =
      command->add_option("PATTERN", arguments->patterns,
                          "Only what matches one of these shell patterns, with all below it; a "
                          "wildcard matches slashes too");
  command->add_option("-C,--directory", arguments->directory, "Where to; made when missing")
      ->capture_default_str();
  command
      ->add_option("--to-stdout", arguments->to_stdout,
                   "Write this file's content to standard output, and nothing else")
      ->excludes(patterns);
  command->add_flag("--devices", arguments->devices, "Make device nodes too (root only)");
  command->add_flag("--same-owner,!--no-same-owner", arguments->same_owner,
                    "Keep the owners of the image; the default for root, as for tar");
  add_limit_option(*command, arguments->limit_bytes);
  command->callback([&action, arguments] { action = [arguments] { return extract(*arguments); }; });
}

void add_cat(CLI::App& initrd, Action& action) {
  auto arguments = std::make_shared<ExtractArguments>();
  auto* command = initrd.add_subcommand("cat", "Write a file of an image to standard output");
  command->add_option("FILE", arguments->file, "The image; - is standard input")->required();
  command->add_option("PATH", arguments->to_stdout, "The file's path in the image")->required();
  add_limit_option(*command, arguments->limit_bytes);
  command->callback([&action, arguments] {
    action = [arguments] {
      return cat(arguments->file, arguments->to_stdout, arguments->limit_bytes);
    };
  });
}

}  // namespace

void add_initrd_extract(CLI::App& initrd, Action& action) {
  add_extract(initrd, action);
  add_cat(initrd, action);
}

}  // namespace capsem::cli
