// capsem initrd verify
#include "initrd/verify.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/log.h"
#include "cli/exit_status.h"
#include "cli/initrd/image_file.h"
#include "initrd/index.h"
#include "manifest/parse.h"
#include "prepare/layout.h"

namespace capsem::cli {
namespace {

struct VerifyArguments {
  std::string file;
  bool structure = false;
  std::uint64_t limit_bytes = initrd::kDefaultLimitBytes;
};

// What is checked, and against what.
struct Subject {
  std::string file;
  std::optional<initrd::Index> index;  // of the guest's own image
  manifest::Manifest manifest;
};

Result<Subject> subject_of(const VerifyArguments& arguments) {
  Subject subject{.file = arguments.file, .index = {}, .manifest = {}};
  const bool foreign = arguments.structure || arguments.file == "-";
  if (foreign && !arguments.file.empty()) return subject;
  std::error_code ignored;
  const auto beside = initrd::index_path(arguments.file);
  if (!arguments.file.empty() && !std::filesystem::exists(beside, ignored)) return subject;
  auto layout = prepare::find_layout();
  if (!layout) return propagate(layout);
  if (arguments.file.empty()) subject.file = layout->image;
  if (foreign) return subject;
  const auto path = initrd::index_path(subject.file);
  // Never taken for a pass when it is missing.
  auto text = read_file(path, initrd::kIndexLimitBytes);
  if (!text) return propagate(text);
  auto index = initrd::decode_index(*text, path);
  if (!index) return propagate(index);
  auto manifest = manifest::load(layout->guest_toml);
  if (!manifest) return propagate(manifest);
  subject.index = std::move(*index);
  subject.manifest = std::move(*manifest);
  return subject;
}

int verify(const VerifyArguments& arguments) {
  auto subject = subject_of(arguments);
  if (!subject) return report(subject.error());
  auto image = ImageFile::open(subject->file, "verifying");
  if (!image) return report(image.error());
  std::optional<initrd::GuestRules> rules;
  if (subject->index) rules.emplace(subject->manifest, *subject->index);
  auto findings = initrd::verify(image->input(), rules ? &*rules : nullptr, arguments.limit_bytes);
  image->end_progress();
  if (!findings) return report(std::move(findings).error().wrapped("verify", image->name()));
  for (const auto& warning : findings->warnings) warn(image->name() + ": " + warning);
  for (const auto& problem : findings->problems) say(image->name() + ": " + problem);
  if (!findings->problems.empty()) return kNegative;
  say(image->name() + (rules ? ": as guest.toml and its index say" : ": Linux can unpack it"));
  return kSuccess;
}

}  // namespace

void add_initrd_verify(CLI::App& initrd, Action& action) {
  auto arguments = std::make_shared<VerifyArguments>();
  auto* command = initrd.add_subcommand(
      "verify", "Check an image, and warn of what Linux will do with it that may surprise");
  command->add_option("FILE", arguments->file,
                      "The image; - is standard input (default: the one that 'capsem run' boots)");
  command->add_flag("--structure", arguments->structure,
                    "Check the structure alone, of the guest's own image too");
  add_limit_option(*command, arguments->limit_bytes);
  command->footer(
      "Of any image: its structure, and checksums. Of the guest's own, which is the default and "
      "any "
      "FILE.img with its\nindex FILE.json beside it: also modes and owners by the policy, static "
      "x86_64 programs, and every hash.\nExit status: 0 nothing but warnings, 1 a problem, 2 the "
      "image or its index cannot be read.");
  command->callback([&action, arguments] { action = [arguments] { return verify(*arguments); }; });
}

}  // namespace capsem::cli
