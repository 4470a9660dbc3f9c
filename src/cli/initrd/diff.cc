// capsem initrd diff
#include "initrd/diff.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "base/text.h"
#include "cli/exit_status.h"
#include "cli/initrd/buffered_output.h"
#include "cli/initrd/image_file.h"

namespace capsem::cli {
namespace {

struct DiffArguments {
  std::string before;
  std::string after;
  initrd::DiffOptions options;
};

std::string_view sign(initrd::Difference::Kind kind) {
  switch (kind) {
    case initrd::Difference::Kind::kAdded:
      return "+ ";
    case initrd::Difference::Kind::kRemoved:
      return "- ";
    case initrd::Difference::Kind::kChanged:
      break;
  }
  return "M ";
}

int diff(const DiffArguments& arguments) {
  if (arguments.before == "-" && arguments.after == "-")
    return report(Error("compare", "standard input", "only one of the two images can be there"));
  auto before = ImageFile::open(arguments.before, "reading");
  if (!before) return report(before.error());
  auto after = ImageFile::open(arguments.after, "reading");
  if (!after) return report(after.error());
  auto differences =
      initrd::diff({.image = before->input(), .name = before->name()},
                   {.image = after->input(), .name = after->name()}, arguments.options);
  before->end_progress();
  after->end_progress();
  if (!differences) return report(differences.error());
  BufferedOutput out;
  for (const auto& difference : *differences) {
    out.put(sign(difference.kind)).put(printable(difference.path));
    if (!difference.changes.empty()) out.put(": ").put(join(difference.changes, ", "));
    out.put("\n");
    if (auto flushed = out.flush_if_full(); !flushed) return report(flushed.error());
  }
  if (auto flushed = out.flush(); !flushed) return report(flushed.error());
  return differences->empty() ? kSuccess : kNegative;
}

}  // namespace

void add_initrd_diff(CLI::App& initrd, Action& action) {
  auto arguments = std::make_shared<DiffArguments>();
  auto* command = initrd.add_subcommand(
      "diff", "Tell what differs between what Linux leaves of two initramfs images");
  command->add_option("A", arguments->before, "An image; - is standard input")->required();
  command->add_option("B", arguments->after, "The one to compare it with, or -")->required();
  command->add_flag("--times", arguments->options.times, "Compare modification times too");
  add_limit_option(*command, arguments->options.limit_bytes);
  command->footer(
      "A line for each path: + only in B, - only in A, M in both and how it changed. "
      "Exit status: 0 the same,\n1 different, 2 trouble.");
  command->callback([&action, arguments] { action = [arguments] { return diff(*arguments); }; });
}

}  // namespace capsem::cli
