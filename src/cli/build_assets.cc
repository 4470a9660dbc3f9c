// capsem-build-assets, the helper behind `capsem build-assets`.
#include <CLI/CLI.hpp>
#include <iterator>
#include <string>
#include <vector>

#include "assets/build.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "prepare/guest_set.h"
#include "prepare/layout.h"

namespace capsem::cli {
namespace {

struct Arguments {
  std::string output;
  bool refresh = false;
};

Result<> build(const Arguments& arguments, const Signals& signals) {
  auto layout = prepare::find_layout();
  if (!layout) return propagate(layout);
  auto manifest = prepare::build_guest(*layout, signals);
  if (!manifest) return propagate(manifest);
  assets::BuildOptions options;
  options.directory =
      arguments.output.empty() ? layout->assets : std::filesystem::path(arguments.output);
  options.cache = layout->cache;
  options.guest = {
      .config = layout->config, .manifest = std::move(*manifest), .sources = layout->sources};
  options.refresh = arguments.refresh;
  return assets::build_assets(options, signals, [](std::string_view line) { say(line); });
}

int run(const Arguments& arguments, const Signals& signals) {
  auto built = build(arguments, signals);
  return built ? kSuccess : report(built.error(), kTrouble);
}

}  // namespace
}  // namespace capsem::cli

int main(int argc, char** argv) {
  using namespace capsem::cli;  // NOLINT(google-build-using-namespace): the whole file is the CLI
  const capsem::Signals signals;
  Arguments arguments;
  CLI::App app(kBuildAssetsDoes, "capsem build-assets");
  app.footer(kGeneralFooter);
  app.add_option("-o,--output", arguments.output,
                 "The folder to build (default: the one that 'capsem run' boots from)");
  app.add_flag("--refresh", arguments.refresh, "Ask the registry for newer packages");
  std::vector<std::string> words(std::reverse_iterator(argv + argc),
                                 std::reverse_iterator(argv + 1));
  return parse_and_act(app, std::move(words), [&] { return run(arguments, signals); }, kTrouble);
}
