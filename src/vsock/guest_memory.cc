#include "vsock/guest_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string>
#include <utility>

namespace capsem::vsock {
namespace {

constexpr const char* kAttempted = "map";
constexpr const char* kSubject = "the guest's memory";

bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b, std::uint64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

bool overflows(std::uint64_t start, std::uint64_t size) {
  return size > std::numeric_limits<std::uint64_t>::max() - start;
}

// Checks one row against its limits and the rows before it.
Result<> check(std::span<const RegionDescription> before, const RegionDescription& region) {
  constexpr std::uint64_t kMaxFile = std::numeric_limits<off_t>::max();
  if (region.size == 0 || overflows(region.guest_address, region.size) ||
      overflows(region.front_end_address, region.size) || region.file_offset > kMaxFile ||
      region.size > kMaxFile - region.file_offset) {
    return fail(kAttempted, kSubject, "a region's addresses overflow", "", ErrorKind::kInvalid);
  }
  for (const RegionDescription& other : before) {
    if (overlap(region.guest_address, region.size, other.guest_address, other.size) ||
        overlap(region.front_end_address, region.size, other.front_end_address, other.size)) {
      return fail(kAttempted, kSubject, "two regions overlap", "", ErrorKind::kInvalid);
    }
  }
  return {};
}

}  // namespace

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (!bytes_.empty()) {
    ::munmap(bytes_.data(), bytes_.size());
  }
}

Result<Mapping> Mapping::create(const Fd& fd, std::uint64_t offset, std::size_t size) {
  void* const start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(),
                             static_cast<off_t>(offset));
  if (start == MAP_FAILED) {
    return fail_system(kAttempted, kSubject, errno);
  }
  Mapping mapping;
  mapping.bytes_ = {static_cast<std::byte*>(start), size};
  return mapping;
}

Result<GuestMemory> GuestMemory::create(std::span<const RegionDescription> regions,
                                        std::span<const Fd> files) {
  if (regions.size() > kMaxRegions || regions.size() != files.size()) {
    return fail(kAttempted, kSubject,
                "the table has " + std::to_string(regions.size()) + " regions and " +
                    std::to_string(files.size()) + " descriptors",
                "", ErrorKind::kInvalid);
  }
  GuestMemory memory;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    if (Result<> ok = check(regions.first(i), regions[i]); !ok) {
      return propagate(ok);
    }
    Result<Region> region = map(regions[i], files[i]);
    if (!region) {
      return propagate(region);
    }
    memory.regions_.push_back(*std::move(region));
  }
  return memory;
}

Result<GuestMemory::Region> GuestMemory::map(const RegionDescription& description, const Fd& file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) {
    return fail_system(kAttempted, kSubject, errno);
  }
  // A page past the end of the file would be SIGBUS at the first touch.
  if (static_cast<std::uint64_t>(status.st_size) < description.file_offset + description.size) {
    return fail(kAttempted, kSubject, "a region is longer than its file", "", ErrorKind::kInvalid);
  }
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t skip = description.file_offset % page;
  Result<Mapping> mapping =
      Mapping::create(file, description.file_offset - skip, description.size + skip);
  if (!mapping) {
    return propagate(mapping);
  }
  const std::span<std::byte> bytes = mapping->bytes().subspan(skip);
  return Region{description, *std::move(mapping), bytes};
}

std::span<std::byte> GuestMemory::find(std::uint64_t RegionDescription::* start,
                                       std::uint64_t address, std::size_t size) const {
  for (const Region& region : regions_) {
    const std::uint64_t first = region.description.*start;
    if (address >= first && address - first < region.bytes.size()) {
      const std::uint64_t offset = address - first;
      return size <= region.bytes.size() - offset ? region.bytes.subspan(offset, size)
                                                  : std::span<std::byte>();
    }
  }
  return {};
}

std::span<std::byte> GuestMemory::at(std::uint64_t guest_address, std::size_t size) const {
  return find(&RegionDescription::guest_address, guest_address, size);
}

std::span<std::byte> GuestMemory::at_front_end(std::uint64_t address, std::size_t size) const {
  return find(&RegionDescription::front_end_address, address, size);
}

}  // namespace capsem::vsock
