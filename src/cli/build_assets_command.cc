// capsem build-assets: hands its words to a helper, an executable of its own, since libarchive's
// libraries would more than double the time in which capsem starts.
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/helper.h"

namespace capsem::cli {

void add_build_assets(CLI::App& app, Action& action, const Signals&) {
  auto* build = app.add_subcommand(kBuildAssets, kBuildAssetsDoes);
  build->set_help_flag();  // the helper's
  build->prefix_command();
  build->callback([&action, build] {
    action = [words = taken_words(*build).words] {
      return report(become_helper("capsem-build-assets", words));
    };
  });
}

}  // namespace capsem::cli
