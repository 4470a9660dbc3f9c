// Copies files between the host and a guest, over a connection to port 5005 of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "client/copy_link.h"

namespace capsem::client {

struct CopyPaths {
  std::string host;  // "-" for a tar archive on standard input or output
  std::string guest;
};

// Told how far it is: bytes of the archive, and what they will be in all, or 0.
using OnCopied = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Both return how many items were left out since they are no file, directory or link.
Result<std::uint64_t> copy_in(CopyLink& link, const CopyPaths& paths, const OnCopied& on_copied);
Result<std::uint64_t> copy_out(CopyLink& link, const CopyPaths& paths, const OnCopied& on_copied);

}  // namespace capsem::client
