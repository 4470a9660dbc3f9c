// The guest's side of a deploy's conversation (capsem.proto, port 5009), up to the point where all
// is there.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "guest/init/deploy_update.h"
#include "wire/messages.h"

namespace capsem::guest::init {

// What a deploy may send.
inline constexpr std::uint64_t kMostItemBytes = 100 << 20;
inline constexpr std::size_t kMostItems = 8192;

// Answers DeployStart on `connection` with `state`, and puts what is sent then below the directory
// `items`: each item at its path in the guest, with the mode that it was sent with. Refused at once
// is an item that lies at no entry of the initrd, that is there already, or is larger than it said;
// whether mode and content are right is for deploy_update() to find.
Result<Update> receive_update(const Fd& connection, const wire::DeployState& state,
                              const std::string& items);

}  // namespace capsem::guest::init
