// capsem build-assets
#include <CLI/CLI.hpp>
#include <memory>

#include "assets/build.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "cli/guest_set.h"
#include "manifest/parse.h"

namespace capsem::cli {
namespace {

struct Arguments {
  std::string output;
  bool refresh = false;
};

Result<> build(const Arguments& arguments) {
  auto layout = find_layout();
  if (!layout) return propagate(layout);
  if (auto built = build_guest_programs(*layout); !built) return built;
  auto manifest = manifest::load(layout->guest_toml);
  if (!manifest) return propagate(manifest);
  assets::BuildOptions options;
  options.directory =
      arguments.output.empty() ? layout->assets : std::filesystem::path(arguments.output);
  options.cache = layout->cache;
  options.guest = {
      .config = layout->config, .manifest = std::move(*manifest), .sources = layout->sources};
  options.refresh = arguments.refresh;
  return assets::build_assets(options, [](std::string_view line) { say(line); });
}

int run(const Arguments& arguments) {
  auto built = build(arguments);
  if (built) return kSuccess;
  say(built.error().message());
  return built.error().kind() == ErrorKind::kInterrupted ? kInterrupted : kTrouble;
}

}  // namespace

void add_build_assets(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("build-assets",
                                     "Make kernel, module segment and rootfs from Debian packages");
  command->add_option("-o,--output", arguments->output,
                      "The folder to build (default: the one that 'capsem run' boots from)");
  command->add_flag("--refresh", arguments->refresh, "Ask the registry for newer packages");
  command->callback([&action, arguments] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace capsem::cli
