// What of guest.toml a running guest is to be sent, by what it says that it has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/deploy.h"
#include "manifest/manifest.h"
#include "prepare/guest_files.h"
#include "wire/messages.h"

namespace capsem::cli {

struct DeployChoice {
  std::optional<client::DeployOrder> order;  // nothing when the guest has all of it
  // Names of entries:
  std::vector<std::string> changed;  // sent, or with other settings
  std::vector<std::string> removed;  // the guest has them, the list no longer
  std::vector<std::string> unchanged;
  std::vector<std::string> next_boot;   // only a boot brings them: the init
  std::vector<std::string> new_rootfs;  // only a rebuilt rootfs brings them
};

// `files` are those of `manifest`. kInvalid for a table of the guest that cannot be read.
Result<DeployChoice> choose_deploy(const manifest::Manifest& manifest,
                                   const prepare::GuestFiles& files,
                                   const wire::DeployState& state);

}  // namespace capsem::cli
