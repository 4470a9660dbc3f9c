// Why packages could not be fetched or unpacked, in one line for a person.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "base/error.h"

namespace capsem::assets {

// The error behind what mmdebstrap and apt said (their stderr, line by line) before they failed.
Error diagnose_packages(std::span<const std::string> lines, const std::string& status);

// Whether this user may make a tree at all: the programs are there and, for an ordinary user, user
// namespaces with a range of ids. The error says what to install or to set.
Result<> check_can_unpack();

}  // namespace capsem::assets
