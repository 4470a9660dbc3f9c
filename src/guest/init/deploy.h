// Puts the entries of guest.toml in place: for each the initrd's copy if there is one, else the
// rootfs's, on a file system of their own that is read-only once it is complete.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "manifest/manifest.h"
#include "wire/messages.h"

namespace capsem::guest::init {

struct DeployRoots {
  std::string initrd;  // "" for the initramfs's own root
  std::string rootfs;  // where the rootfs is mounted
  std::string target;  // the directory that becomes the guest's /capsem
};

struct Deployment {
  std::vector<DeployedEntry> entries;
  std::vector<std::string> problems;  // copies that were refused, and entries that are absent
};

// Copies each entry but the init to below `roots.target`. A copy whose mode or owner is not the
// policy's, or whose hash is not that of its place's list (manifest/sums.h), is refused, and the
// next place is tried. Fails when a copy cannot be written, or when an essential entry has none
// that is accepted: the error says why.
Result<Deployment> deploy(const manifest::Manifest& manifest, const DeployRoots& roots);

// The boot step: deploys to a tmpfs at kDeployment, with the entry table and the record of
// what was deployed (manifest/deployed.h), and makes it read-only.
// switch_root() moves it to /capsem.
Result<Deployment> deploy_for_new_root(const manifest::Manifest& manifest);

}  // namespace capsem::guest::init
