// What became of one entry of guest.toml when the guest booted. It stands in the guest's own record
// (manifest/deployed.h) and in its hello to the host (wire/messages.h), two layers that do not know
// each other.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/sha256.h"

namespace capsem {

// The place whose copy was deployed; the numbers are those of the wire.
enum class Origin : std::uint32_t { kAbsent, kInitrd, kRootfs };

// What each is called, by its number.
inline constexpr std::array<std::string_view, 3> kOriginNames = {"absent", "initrd", "rootfs"};

constexpr std::string_view name_of(Origin origin) {
  return kOriginNames.at(static_cast<std::size_t>(origin));
}

struct DeployedEntry {
  std::string name;
  Origin origin = Origin::kAbsent;
  std::optional<Digest> sha256;  // manifest::entry_hash() of the copy; nothing when it is absent

  bool operator==(const DeployedEntry&) const = default;
};

// That of the entry called `name`; null when it is not listed, or absent.
inline const DeployedEntry* find_deployed(std::span<const DeployedEntry> entries,
                                          std::string_view name) {
  auto found = std::ranges::find(entries, name, &DeployedEntry::name);
  return found == entries.end() || found->origin == Origin::kAbsent ? nullptr : &*found;
}

}  // namespace capsem
