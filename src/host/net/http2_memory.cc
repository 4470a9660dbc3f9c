#include "host/net/http2_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace capsem::host::net {
namespace {

constexpr std::size_t kFromKernelBytes = 16 << 10;

// Before each block. Keeps the alignment of what follows.
struct alignas(std::max_align_t) Header {
  std::size_t size;  // that was asked for
};

bool is_from_kernel(std::size_t size) {
  return size >= kFromKernelBytes;
}

void* allocate(std::size_t size, void* /*user*/) {
  if (size > SIZE_MAX - sizeof(Header)) return nullptr;
  const auto whole = size + sizeof(Header);
  void* block = nullptr;
  if (is_from_kernel(size)) {
    block = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return nullptr;
  } else {
    block = std::malloc(whole);
    if (block == nullptr) return nullptr;
  }
  auto* header = static_cast<Header*>(block);
  header->size = size;
  return header + 1;
}

void release(void* memory, void* /*user*/) {
  if (memory == nullptr) return;
  auto* header = static_cast<Header*>(memory) - 1;
  if (is_from_kernel(header->size))
    ::munmap(header, header->size + sizeof(Header));
  else
    std::free(header);
}

void* allocate_zeroed(std::size_t count, std::size_t size, void* user) {
  if (size != 0 && count > SIZE_MAX / size) return nullptr;
  void* memory = allocate(count * size, user);
  if (memory != nullptr && !is_from_kernel(count * size)) std::memset(memory, 0, count * size);
  return memory;
}

void* reallocate(void* memory, std::size_t size, void* user) {
  void* moved = allocate(size, user);
  if (moved == nullptr || memory == nullptr) return moved;
  std::memcpy(moved, memory, std::min(size, (static_cast<Header*>(memory) - 1)->size));
  release(memory, user);
  return moved;
}

}  // namespace

nghttp2_mem* http2_memory() {
  static nghttp2_mem memory{nullptr, allocate, release, allocate_zeroed, reallocate};
  return &memory;
}

}  // namespace capsem::host::net
