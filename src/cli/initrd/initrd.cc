// capsem initrd: the engine's subcommands, one file each.
#include "cli/initrd/image_file.h"

namespace capsem::cli {

void add_initrd(CLI::App& app, Action& action, const Signals& signals) {
  auto* initrd = app.add_subcommand(
      "initrd", "Pack initramfs images, and read, check, compare and convert any");
  initrd->require_subcommand(1);
  add_initrd_pack(*initrd, action, signals);
  add_initrd_list(*initrd, action);
  add_initrd_extract(*initrd, action);
  add_initrd_diff(*initrd, action);
  add_initrd_verify(*initrd, action);
}

}  // namespace capsem::cli
