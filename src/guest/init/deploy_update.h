// Entries of guest.toml in place of those that a running guest has: the changed ones from where
// they were received, all others from where they are.
#pragma once

#include <string>
#include <vector>

#include "base/deployed.h"
#include "base/error.h"
#include "guest/init/deploy.h"
#include "manifest/manifest.h"
#include "manifest/sums.h"

namespace capsem::guest::init {

// What the guest has, as its records say.
struct RunningSet {
  std::string root;  // "" for the guest's own; entries lie at their paths below it
  manifest::Manifest manifest;
  std::vector<DeployedEntry> entries;
  manifest::Sums sums;
};

// The records below `root`.
Result<RunningSet> read_running_set(const std::string& root);

// The same of a file system that becomes /capsem, at `directory`.
Result<RunningSet> read_records(const std::string& directory);

// What it is to have.
struct Update {
  manifest::Manifest manifest;
  manifest::Sums sums;  // of the files of all its entries, as the host has them
  std::string items;    // the root of what was received
};

// Puts every entry of `update` but the init in place below `target`, with the gates of deploy().
// An entry that the initrd would bring has the hash that the update says, whether it was received
// or not; any other stays as it is, or is absent until the next boot. All of them or an error.
Result<Deployment> deploy_update(const Update& update, const RunningSet& running,
                                 const std::string& target);

}  // namespace capsem::guest::init
