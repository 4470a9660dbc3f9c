// Guests of a few instructions, made from the probe's kernel, that need no Linux.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/fd.h"
#include "vm/probe.h"

namespace capsem::testing {

// The probe's kernel with `code` in place of the four bytes of its report.
inline std::vector<std::byte> probe_kernel_with(std::array<unsigned char, 4> code) {
  auto original = vm::probe_kernel();
  std::vector<std::byte> kernel(original.begin(), original.end());
  constexpr std::array report = {std::byte{0xb0}, std::byte{0x2a}, std::byte{0xe6},
                                 std::byte{0xf4}};
  auto at = std::search(kernel.begin(), kernel.end(), report.begin(), report.end());
  if (at == kernel.end()) std::abort();
  std::transform(code.begin(), code.end(), at, [](unsigned char c) { return std::byte{c}; });
  return kernel;
}

// Does all but report, then halts for ever.
inline std::vector<std::byte> halting_kernel() {
  return probe_kernel_with({0x90, 0x90, 0x90, 0x90});
}

// Ends in a triple fault.
inline std::vector<std::byte> crashing_kernel() {
  return probe_kernel_with({0x0f, 0x0b, 0x0f, 0x0b});
}

inline Fd in_memory(std::span<const std::byte> content) {
  Fd file(::memfd_create("capsem-test", MFD_CLOEXEC));
  if (!file || !write_full(file, content, "a test's file")) std::abort();
  return file;
}

}  // namespace capsem::testing
