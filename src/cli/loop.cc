// capsem loop: which command brings which change into the guest.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "cli/command.h"
#include "cli/exit_status.h"
#include "manifest/parse.h"
#include "prepare/layout.h"

namespace capsem::cli {
namespace {

constexpr const char* kRun = "capsem run";
constexpr const char* kRunOrDeploy = "capsem run` or `capsem deploy NAME";
constexpr const char* kBuildAssets = "capsem build-assets";

struct Row {
  std::string changed;
  const char* command;
  std::string why;
};

// What is built into guest programs or packed besides the entries of guest.toml.
const Row kOtherRows[] = {
    {"src/base/, src/manifest/, src/wire/, src/guest/runtime/", kRunOrDeploy,
     "the guest programs that link them are rebuilt; the tool itself by ./dev"},
    {"guest.toml", kRunOrDeploy,
     "read at every run; it says when a change concerns the rootfs as well"},
};

// What is baked into the assets besides the entries of guest.toml.
const Row kAssetRows[] = {
    {"guest/config/packages.list", kBuildAssets, "the Debian packages of the rootfs"},
    {"guest/config/rootfs/", kBuildAssets,
     "shell settings and guest configuration, copied into the rootfs as they are"},
    {"guest/config/modules.boot", kBuildAssets, "the kernel modules that the init loads"},
    {"guest/config/modules.rootfs", kBuildAssets, "the kernel modules that lie in the rootfs"},
    {"src/assets/", kBuildAssets, "how they are made, after ./dev has built the tool"},
};

Row row_of(const manifest::Entry& entry) {
  auto changed = entry.build ? "src/guest/" + *entry.build + "/" : *entry.file;
  auto what = entry.name + (entry.build ? " is rebuilt when stale" : " is read anew");
  if (entry.is_init()) return {changed, kRun, what + " and packed; only a boot starts it"};
  if (entry.in_initrd && entry.in_rootfs)
    return {changed, kRunOrDeploy, what + " and packed; the initrd's copy wins over the rootfs's"};
  if (entry.in_initrd) return {changed, kRunOrDeploy, what + " and packed"};
  return {changed, kBuildAssets, entry.name + " lies in the rootfs only"};
}

void print(const Row& row) {
  auto command = prepare::in_words_of_here(row.command);
  std::printf("| `%s` | `%s` | %s |\n", row.changed.c_str(), command.c_str(), row.why.c_str());
}

int print_loop() {
  auto layout = prepare::find_layout();
  auto manifest = layout ? manifest::load(layout->guest_toml)
                         : Result<manifest::Manifest>(std::unexpected(layout.error()));
  if (!manifest) {
    say(manifest.error().message());
    return kTrouble;
  }
  std::printf("| changed | command | why |\n|---|---|---|\n");
  for (const auto& entry : manifest->entries) print(row_of(entry));
  for (const auto& row : kOtherRows) print(row);
  for (const auto& row : kAssetRows) print(row);
  if (std::fflush(stdout) == 0) return kSuccess;
  say(Error::system("write", "standard output", errno).message());
  return kTrouble;
}

}  // namespace

void add_loop(CLI::App& app, Action& action, const Signals&) {
  app.add_subcommand("loop", "Print which command brings which change into the guest")
      ->callback([&action] { action = print_loop; });
}

}  // namespace capsem::cli
