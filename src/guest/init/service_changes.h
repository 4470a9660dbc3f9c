// Which services a deploy concerns.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/deployed.h"
#include "manifest/manifest.h"

namespace capsem::guest::init {

enum class ServiceChange {
  kReplaced,  // another program, and nothing else
  kChanged,   // other settings
  kNew,
  kGone,
};

struct ConcernedService {
  std::string name;
  ServiceChange change;
  bool listens_elsewhere = false;  // the ports are others
};

// An entry table with what was deployed of it.
struct Set {
  const manifest::Manifest& manifest;
  std::span<const DeployedEntry> entries;
};

// In the order of the new manifest; those that are gone come first.
std::vector<ConcernedService> concerned_services(const Set& before, const Set& now);

}  // namespace capsem::guest::init
