// Which segments an image has and what each holds, before anything is compressed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "codec/codec.h"
#include "initrd/index.h"
#include "initrd/node.h"
#include "initrd/pack_record.h"
#include "initrd/sources.h"
#include "manifest/sources.h"

namespace capsem::initrd {

struct PlannedSegment {
  std::string name;
  std::vector<Node> nodes;
  std::optional<codec::Codec> codec;  // the image's when absent
  const Fd* copied = nullptr;         // a whole segment that is there already, in place of nodes
};

struct Plan {
  std::vector<PlannedSegment> segments;
  std::vector<IndexedEntry> entries;  // of guest.toml
  std::vector<Node> joined;           // files that are in a segment already, under another name
  std::string boot_config;            // text that Linux finds behind the segments, or empty
};

// The entries that go to the initrd: first `modules` as it is, when there is one, then the segment
// "base" with the directories and the entry table, then one segment for each entry; programs with
// the same content and mode (one executable under several names) share one, as hard links; last the
// segment "hashes" with manifest::kSumsPath. Hashes the files that `record` does not know.
// kInvalid for a name that is no UTF-8, which the index could not hold.
Result<Plan> plan_guest(const manifest::Manifest& manifest, const manifest::SourceTree& tree,
                        const Fd* modules, const PackRecord& record);

// Nodes of any kind, in their order: those of `early` stored in a segment that goes first, large
// files alone, small ones together. Where a segment ends depends on sizes and names near it only,
// so that a file more or less moves few of the others.
Plan plan_nodes(ImageNodes nodes, codec::Codec codec);

}  // namespace capsem::initrd
