// Puts the entries of guest.toml in place at boot: for each the initrd's copy if there is one, else
// the rootfs's, on a file system of their own that is read-only once it is complete.
#pragma once

#include <string>
#include <vector>

#include "base/deployed.h"
#include "base/error.h"
#include "base/fd.h"
#include "manifest/manifest.h"
#include "manifest/sums.h"

namespace capsem::guest::init {

struct DeployRoots {
  std::string initrd;  // "" for the initramfs's own root
  std::string rootfs;  // where the rootfs is mounted
  std::string target;  // the directory that becomes the guest's /capsem
};

struct Deployment {
  std::vector<DeployedEntry> entries;
  manifest::Sums sums;                // of the files of these entries
  std::vector<std::string> problems;  // copies that were refused, and entries that are absent
  DeployedEntry init;                 // by the initrd's list of hashes, as its copy is gone
};

// Copies each entry but the init to below `roots.target`. A copy whose mode or owner is not the
// policy's, or whose hash is not that of its place's list (manifest/sums.h), is refused, and the
// next place is tried. Fails when a copy cannot be written, or when an essential entry has none
// that is accepted: the error says why.
Result<Deployment> deploy(const manifest::Manifest& manifest, const DeployRoots& roots);

// What else lies beside the entries in the guest's /capsem, which `target` becomes: the entry
// table, the record of what was deployed (manifest/deployed.h) and the hashes of its files.
Result<> write_records(const manifest::Manifest& manifest, const Deployment& deployment,
                       const std::string& target);

// The boot step: deploys to a file system of its own, with the records, and seals that
// (entry_mount.h).
struct Deployed {
  Deployment deployment;
  Fd file_system;
};
Result<Deployed> deploy_for_new_root(const manifest::Manifest& manifest);

}  // namespace capsem::guest::init
