// The guest's memory, shared with QEMU: the only place where an address that the guest or QEMU
// names becomes a pointer, and only when the whole range lies in one region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::vsock {

// Owns one mmap(2).
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // Maps `size` bytes of `fd` from `offset`, which is a multiple of the page size, shared and
  // writable.
  static Result<Mapping> create(const Fd& fd, std::uint64_t offset, std::size_t size);

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

// One row of VHOST_USER_SET_MEM_TABLE.
struct RegionDescription {
  std::uint64_t guest_address = 0;
  std::uint64_t size = 0;
  std::uint64_t front_end_address = 0;  // where QEMU has it mapped; ring addresses are given so
  std::uint64_t file_offset = 0;
};

class GuestMemory {
 public:
  // What vhost-user allows for without configurable slots (VHOST_MEMORY_BASELINE_NREGIONS).
  static constexpr std::size_t kMaxRegions = 8;

  // Maps the regions, whose descriptors stand in the same order in `files`. kInvalid for a table
  // that is too long, overlaps or overflows, or that a file is too short for.
  static Result<GuestMemory> create(std::span<const RegionDescription> regions,
                                    std::span<const Fd> files);

  // The bytes at a guest-physical address; empty when they do not all lie in one region.
  std::span<std::byte> at(std::uint64_t guest_address, std::size_t size) const;

  // The same for an address in QEMU's address space.
  std::span<std::byte> at_front_end(std::uint64_t address, std::size_t size) const;

 private:
  struct Region {
    RegionDescription description;
    Mapping mapping;
    std::span<std::byte> bytes;  // the region within the mapping, which starts at a page
  };

  static Result<Region> map(const RegionDescription& description, const Fd& file);
  std::span<std::byte> find(std::uint64_t RegionDescription::* start, std::uint64_t address,
                            std::size_t size) const;

  std::vector<Region> regions_;
};

}  // namespace capsem::vsock
